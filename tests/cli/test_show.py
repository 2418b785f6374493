"""`hsc show`: the layers of a file next to other codecs, in one picture."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import hsc
from hsc.data.examples import example_faces
from hsc.evaluation.anchors import load_anchor
from hsc.evaluation.sheet import GAP, SIDE, layers_sheet
from hsc.images import to_tensor

COLUMNS = 4  # the original and three layers
CAPTION = SIDE // 9


@pytest.fixture
def faces(tmp_path: Path) -> list[Path]:
    """Two pictures of 40×40 pixels."""
    paths = [tmp_path / f"{number}.png" for number in range(2)]
    for path, example in zip(paths, example_faces(), strict=False):
        Image.open(example).resize((40, 40)).save(path)
    return paths


def tile(sheet: Image.Image, row: int, column: int) -> np.ndarray:
    left, top = column * (SIDE + GAP), row * (CAPTION + SIDE + GAP) + CAPTION
    return np.asarray(sheet.crop((left, top, left + SIDE, top + SIDE))).astype(float)


def test_a_picture_has_a_row_for_each_face_and_codec(run, codec_file: Path, faces: list[Path], tmp_path: Path):
    out = tmp_path / "layers.png"
    ended = run("show", *faces, "-o", out, "--model", codec_file, "--anchors", "jpeg, webp")
    assert (ended.status, ended.out) == (0, f"{out}\n"), ended.err
    with Image.open(out) as sheet:
        assert sheet.size == ((COLUMNS + 2) * (SIDE + GAP) - GAP, 2 * (CAPTION + SIDE + GAP) - GAP)
        for row, face in enumerate(faces):
            with Image.open(face) as original:
                shown = np.asarray(original.resize((SIDE, SIDE))).astype(float)
            assert np.abs(tile(sheet, row, 0) - shown).mean() < 2
            assert np.abs(tile(sheet, row, 1) - tile(sheet, row, 3)).max() > 0  # the layers differ
            assert all(tile(sheet, row, column).std() > 0 for column in (4, 5))
    assert run("show", faces[0], "-o", out, "--model", codec_file, "--anchors", "").status == 0  # its own output
    with Image.open(out) as sheet:
        assert sheet.height == CAPTION + SIDE


def test_other_codecs_keep_to_the_bytes_of_the_file(codec_file: Path, monkeypatch: pytest.MonkeyPatch):
    codec, asked = hsc.load(str(codec_file)), []
    jpeg = load_anchor("jpeg")
    near_bytes = jpeg.near_bytes
    monkeypatch.setattr(
        jpeg, "near_bytes", lambda image, size: (asked.append((image.shape, size)), near_bytes(image, size))[1]
    )
    face = torch.rand(3, codec.size, codec.size) * 2 - 1
    layers_sheet(codec, [face], None, [jpeg])
    assert asked == [((codec.size, codec.size, 3), len(codec.compress(face)))]


def test_bytes_bound_the_file(codec_file: Path):
    codec = hsc.load(str(codec_file))
    face = to_tensor(Image.open(example_faces()[0]).resize((codec.size, codec.size)))
    layers_sheet(codec, [face], 60, [])
    with pytest.raises(hsc.errors.HscError, match="no quality fits 3 bytes"):
        layers_sheet(codec, [face], 3, [])


def test_what_cannot_be_shown_is_one_line(run, codec_file: Path, faces: list[Path], tmp_path: Path):
    with Image.open(faces[0]) as image:
        image.resize((40, 30)).save(tmp_path / "wide.png")
    for words, said in (
        ((tmp_path / "wide.png",), "not square"),
        ((tmp_path / "nowhere.png",), "no such file"),
        ((faces[0], "-o", faces[0]), "same file"),
        ((faces[0], "--anchors", "bogus"), "unknown anchor"),
        ((faces[0], "-o", tmp_path / "layers.txt"), "is not an image format"),
    ):
        out = () if "-o" in words else ("-o", tmp_path / "out.png")
        anchors = () if "--anchors" in words else ("--anchors", "")
        run("show", *words, *out, "--model", codec_file, *anchors).assert_refused(said)
    assert not (tmp_path / "out.png").exists()


def test_a_codec_that_is_not_here_is_left_out(run, codec_file: Path, faces: list[Path], tmp_path: Path, monkeypatch):
    monkeypatch.setattr("hsc.evaluation.anchors.AV1.version", _missing)
    ended = run("show", faces[0], "-o", tmp_path / "out.png", "--model", codec_file, "--anchors", "av1")
    assert ended.status == 0
    assert ended.err == "leaving out av1: pip install it\n"


def _missing(self: object) -> str:
    from hsc.evaluation.anchors import AnchorNotAvailable

    raise AnchorNotAvailable("pip install it")
