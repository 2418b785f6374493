"""Pictures and archives of them, identical in every run."""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def encoded(picture: Image.Image | np.ndarray, format: str = "PNG") -> bytes:
    """The bytes of an image file of a picture or of pixels [h, w, 3]."""
    stream = io.BytesIO()
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(stream, format)
    return stream.getvalue()


def plain(colour: int = 0, side: int = 8, format: str = "PNG") -> bytes:
    """The bytes of an image file of a grey square."""
    return encoded(np.full((side, side, 3), colour, np.uint8), format)


def noise(seed: int, side: int = 12) -> bytes:
    """The bytes of an image file of a square in which each pixel has its own colour."""
    return encoded(np.random.default_rng(seed).integers(256, size=(side, side, 3), dtype=np.uint8))


def write_zip(path: Path, members: Mapping[str, bytes | str], method: int = zipfile.ZIP_STORED) -> Path:
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, members: Mapping[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            archive.addfile(tar_member(name, len(content)), io.BytesIO(content))
    return path


def tar_member(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = size, kind, target
    return member


def darkest_pixel(image: Tensor) -> Tensor:
    """A landmarker of one point: (x, y) of the darkest pixel of each image [n, 3, h, w]."""
    place = image.mean(1).flatten(1).argmin(1)
    return torch.stack([place % image.shape[-1], place // image.shape[-1]], 1)[:, None].float()


darkest_pixel.name = "darkest"


def write_pictures(
    place: Path, count: int, side: int = 16, *, squares: int = 0, digits: int = 2, seed: int = 0
) -> Path:
    """`count` pictures of `side` pixels, 00.png, 01.png, …, in a zip, or in a folder if `place` does not end in .zip.

    `squares` random colours per side are enlarged smoothly; without `squares`, each pixel has its own colour.
    """
    random, contents = np.random.default_rng(seed), []
    for _ in range(count):
        colours = random.integers(0, 256, (squares or side, squares or side, 3), dtype=np.uint8)
        contents.append(encoded(Image.fromarray(colours).resize((side, side), Image.Resampling.BICUBIC)))
    members = {f"{number:0{digits}}.png": content for number, content in enumerate(contents)}
    if place.suffix == ".zip":
        return write_zip(place, members)
    place.mkdir(parents=True)
    for name, content in members.items():
        (place / name).write_bytes(content)
    return place
