"""`hsc prior` with the same weights in the layouts of three projects."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hsc.checkpoints import load_generator
from hsc.nets.stylegan2 import StyleGAN2


@pytest.mark.parametrize("layout", ["nvlabs-state", "rosinality", "psp"])
def test_import_and_export_keep_every_weight(run, shared_dir: Path, tmp_path: Path, layout: str):
    source = shared_dir / "fixtures" / f"stylegan2-64-{layout}.pt"
    ours, theirs = tmp_path / "prior.safetensors", tmp_path / "theirs.pt"
    imported = run("prior", "import", source, ours)
    assert (imported.status, imported.err) == (0, "")
    assert "64×64" in imported.out
    assert run("prior", "export", ours, theirs, "--layout", "nvlabs").status == 0
    expected, exported = load_generator(source).state_dict(), load_generator(theirs).state_dict()
    assert expected.keys() == exported.keys()
    for name, value in expected.items():
        assert torch.equal(value, exported[name]), name


def test_sample_draws_the_same_faces_for_the_same_seed(run, shared_dir: Path, tmp_path: Path):
    source = shared_dir / "fixtures" / "stylegan2-64-rosinality.pt"
    pictures = [tmp_path / f"{name}.png" for name in "abc"]
    for picture, seed in zip(pictures, (1, 1, 2), strict=True):
        assert run("prior", "sample", source, picture, "--count", 3, "--seed", seed).status == 0
    first, again, other = (Image.open(picture).tobytes() for picture in pictures)
    assert first == again
    assert first != other
    grid = Image.open(pictures[0])
    assert grid.size == (128, 128)
    assert grid.crop((64, 64, 128, 128)).getextrema() == ((0, 0),) * 3, "the fourth place stays black"


def test_sheets(run, prior: Path, tmp_path: Path):
    """Columns of a mixing sheet: a face, the same face with style rows of the next one, and the next face."""
    for sheet, columns in (("truncation", 6), ("mixing", 5)):
        words = ("--sheet", sheet, "--count", 3, "--size", 16)
        assert run("prior", "sample", prior, tmp_path / f"{sheet}.png", *words).status == 0
        assert Image.open(tmp_path / f"{sheet}.png").size == (16 * columns, 16 * 3)
    mixing = np.asarray(Image.open(tmp_path / "mixing.png")).reshape(3, 16, 5, 16, 3)
    assert np.array_equal(mixing[:, :, 4], np.roll(mixing[:, :, 0], -1, 0))
    assert len(np.unique(mixing[0].swapaxes(0, 1).reshape(5, -1), axis=0)) == 5
    truncation = np.asarray(Image.open(tmp_path / "truncation.png")).reshape(3, 16, 6, 16, 3)
    assert np.array_equal(truncation[0, :, 0], truncation[1, :, 0]), "the average face"
    assert not np.array_equal(truncation[0, :, 5], truncation[1, :, 5])


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("faces.png", "--size", 33), 1, "draws 32×32"),
        (("faces.txt",), 1, "name the output .png"),
        (("faces.png", "--sheet", "mixing", "--count", 1), 2, "--count 2 or more"),
        (("faces.png", "--count", 0), 2, "--count"),
    ],
)
def test_what_cannot_be_drawn_is_said_before_anything_is(
    run, prior: Path, tmp_path: Path, monkeypatch, words, status, said
):
    monkeypatch.setattr(StyleGAN2, "synthesis", lambda *_: pytest.fail("draws"))
    ended = run("prior", "sample", prior, tmp_path / words[0], *words[1:])
    assert ended.status == status
    assert said in " ".join(ended.err.split())
    assert [file.name for file in tmp_path.iterdir()] == ["prior.safetensors"]


def test_a_file_that_is_no_generator_is_refused_in_one_line(run, tmp_path: Path):
    stranger = tmp_path / "stranger.pt"
    torch.save({"weights": torch.zeros(3)}, stranger)
    run("prior", "import", stranger, tmp_path / "prior.safetensors").assert_refused()
    assert not (tmp_path / "prior.safetensors").exists()
