"""The example faces that come with hsc: photographs that no codec was trained on, CC0, at 256×256."""

from pathlib import Path

from hsc.errors import HscError
from hsc.files import refuse_overwriting, write_atomically
from hsc.released import ASSETS

FACES = ASSETS / "faces"


def example_faces() -> list[Path]:
    """The files, sorted."""
    return sorted(FACES.glob("*.jpg"))


def write_examples(folder: Path, force: bool = False) -> list[Path]:
    """Copy the example faces into `folder`, which is made; returns the copies.

    Raises HscError where `folder` is a file and, unless `force` is given, where another file has a face's name.
    """
    if folder.exists() and not folder.is_dir():
        raise HscError(f"{folder} is a file: name a folder for the faces")
    contents = {folder / face.name: face.read_bytes() for face in example_faces()}
    refuse_overwriting(contents, example_faces(), lambda path: path.read_bytes() == contents[path], force)
    for path, content in contents.items():
        write_atomically(path, content)
    return list(contents)
