"""Pictures on the disk, the same at every run."""

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image


def write_pictures(
    place: Path, count: int, side: int = 16, *, squares: int = 0, digits: int = 2, seed: int = 0
) -> Path:
    """`count` pictures of `side` pixels, 00.png, 01.png, …, in a zip, or in a folder where `place` ends otherwise.

    Of so many random colours on a side, enlarged smoothly; without `squares` each pixel has its own.
    """
    random, contents = np.random.default_rng(seed), []
    for _ in range(count):
        colours = random.integers(0, 256, (squares or side, squares or side, 3), dtype=np.uint8)
        stream = io.BytesIO()
        Image.fromarray(colours).resize((side, side), Image.Resampling.BICUBIC).save(stream, "PNG")
        contents.append(stream.getvalue())
    names = [f"{number:0{digits}}.png" for number in range(count)]
    if place.suffix == ".zip":
        with zipfile.ZipFile(place, "w") as archive:
            for name, content in zip(names, contents, strict=True):
                archive.writestr(name, content)
    else:
        place.mkdir(parents=True)
        for name, content in zip(names, contents, strict=True):
            (place / name).write_bytes(content)
    return place
