"""Photographs to prepare: parts of CC0 portraits. Finding faces in them needs dlib."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageFilter


@pytest.fixture(scope="session")
def portraits(data_dir: Path) -> Path:
    path = data_dir / "portraits1024.zip"
    if not path.is_file():
        pytest.skip("needs portraits1024.zip in HSC_DATA")
    pytest.importorskip("dlib", reason="needs the judges extra: make env")
    return path


@pytest.fixture(scope="session")
def portrait(portraits: Path) -> Callable[[str], Image.Image]:
    """Loads a portrait by name at half its size, which is sufficient for detection."""

    def load(name: str) -> Image.Image:
        with zipfile.ZipFile(portraits) as archive:
            return (
                Image.open(io.BytesIO(archive.read(name))).convert("RGB").resize((512, 512), Image.Resampling.LANCZOS)
            )

    return load


@pytest.fixture(scope="session")
def album(portrait: Callable[[str], Image.Image], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A typical folder of a user: several people, several kinds of files, and some faulty ones."""
    root = tmp_path_factory.mktemp("album")
    for person in ("anna", "bert", "carl"):
        (root / person).mkdir()
    anna, bert = portrait("female-00.jpg"), portrait("male-00.jpg")
    anna.save(root / "anna/1.jpg", quality=95)
    anna.point(lambda value: min(255, int(value * 1.05))).save(root / "anna/brighter.webp", quality=70)
    portrait("female-06.jpg").convert("L").save(root / "anna/grey.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # displayed rotated clockwise
    bert.rotate(90).save(root / "bert/turned.jpg", exif=exif, quality=95)
    portrait("male-06.jpg").filter(ImageFilter.GaussianBlur(4)).save(root / "bert/<i>blurred.jpg")
    Image.new("RGB", (300, 200), "grey").save(root / "carl/wall.png")
    (root / "carl/torn.jpg").write_bytes((root / "anna/1.jpg").read_bytes()[:3000])
    (root / "carl/notes.txt").write_text("no picture")
    return root
