"""The example faces that come with hsc: photographs that no codec was trained on, CC0, at 256×256."""

import io
from pathlib import Path

from PIL import Image

from hsc.errors import HscError
from hsc.files import refuse_overwriting, write_atomically
from hsc.images import encoded
from hsc.released import ASSETS

FACES = ASSETS / "faces"
SIZE = 256  # pixels per side
QUALITY = 95  # of the JPEG files at other sizes


def example_faces() -> list[Path]:
    """The files, sorted."""
    return sorted(FACES.glob("*.jpg"))


def write_examples(folder: Path, size: int = SIZE, force: bool = False) -> list[Path]:
    """Copy the example faces into `folder`, which is created if needed, resized to `size`; returns the copies.

    Raises HscError if `folder` is a file and, unless `force` is given, if another file has a face's name.
    """
    if folder.exists() and not folder.is_dir():
        raise HscError(f"{folder} is a file: name a folder for the faces")
    contents = {folder / face.name: _resized(face.read_bytes(), size) for face in example_faces()}
    refuse_overwriting(contents, example_faces(), lambda path: path.read_bytes() == contents[path], force)
    for path, content in contents.items():
        write_atomically(path, content)
    return list(contents)


def _resized(jpeg: bytes, size: int) -> bytes:
    if size == SIZE:
        return jpeg
    resized = Image.open(io.BytesIO(jpeg)).resize((size, size), Image.Resampling.BICUBIC)
    return encoded(resized, "JPEG", quality=QUALITY)
