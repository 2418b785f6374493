"""`hsc encode --align`, and the message about pictures that are not aligned."""

import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from hsc.images import load_image


@pytest.fixture
def photograph(data_dir: Path, tmp_path: Path) -> Path:
    """A face that fills a sixth of a picture."""
    path = data_dir / "portraits1024.zip"
    if not path.is_file():
        pytest.skip("needs portraits1024.zip in HSC_DATA")
    pytest.importorskip("dlib", reason="needs the judges extra: make env")
    with zipfile.ZipFile(path) as archive:
        portrait = Image.open(io.BytesIO(archive.read("female-00.jpg"))).convert("RGB").resize((400, 400))
    picture = Image.new("RGB", (900, 700), "grey")
    picture.paste(portrait, (450, 250))
    picture.save(tmp_path / "photograph.jpg")
    return tmp_path / "photograph.jpg"


def test_a_photograph_is_refused_and_with_align_coded(run, codec_file: Path, photograph: Path):
    refused = run("encode", photograph, "--model", codec_file)
    assert refused.status == 1
    assert "900x700 is not square" in refused.err
    assert "`hsc encode --align`" in refused.err
    coded = run("encode", photograph, "--align", "--model", codec_file)
    assert (coded.status, coded.err) == (0, "")
    shown = run("decode", photograph.with_suffix(".hsc"), "--model", codec_file).out
    side = int(shown.strip().rpartition("x")[2])
    assert 200 < side < 450  # the size of the face in the photograph


def test_the_crop_can_be_kept(run, codec_file: Path, photograph: Path):
    words = ("encode", photograph, "--align", "--keep-crop", "--model", codec_file)
    assert run(*words).status == 0
    crop = Image.open(photograph.with_suffix(".crop.png"))
    shown = run("decode", photograph.with_suffix(".hsc"), "--model", codec_file).out
    assert shown.strip().endswith(f"{crop.width}x{crop.height}")
    assert run(*words).status == 0, "its own earlier crop is replaced"
    Image.new("RGB", (8, 8)).save(photograph.with_suffix(".crop.png"))
    refused = run(*words)
    assert refused.status == 1
    assert "photograph.crop.png" in refused.err


def test_square_pictures_that_are_not_aligned_are_told(run, codec_file: Path, photograph: Path, tmp_path: Path):
    faces = tmp_path / "faces"
    faces.mkdir()
    from hsc.data.prepare import Aligner

    image = load_image(photograph)
    Aligner().align(image, 256).save(faces / "aligned.png")
    good = run("encode", faces / "aligned.png", "-o", tmp_path / "a.hsc", "--check", "--model", codec_file)
    assert (good.status, good.err) == (0, "")
    image.crop((200, 0, 900, 700)).save(faces / "odd.png")
    odd = run("encode", faces / "odd.png", "-o", tmp_path / "b.hsc", "--check", "--model", codec_file)
    assert odd.status == 0
    assert "odd.png does not look like an aligned face" in odd.err
    both = run("encode", faces, "-o", tmp_path / "coded", "--check", "--model", codec_file)
    assert "1 of the first 2 pictures (odd.png, …)" in both.err


def test_no_face_is_one_sentence(run, codec_file: Path, photograph: Path, tmp_path: Path):
    Image.new("RGB", (300, 300), "grey").save(tmp_path / "wall.png")
    ended = run("encode", tmp_path / "wall.png", "--align", "--model", codec_file)
    assert ended.status == 1
    assert "wall.png: no face found" in ended.err
