"""Where sets of faces are found: paths, the data folder, and sets that hsc generates."""

from pathlib import Path

import pytest
import torch

from hsc.checkpoints import save_generator
from hsc.data import places
from hsc.data.faces import open_faces
from hsc.data.places import resolve_data
from hsc.data.sample import Recipe, sample
from hsc.errors import HscError
from hsc.nets.stylegan2 import StyleGAN2


@pytest.fixture
def prior(tmp_path, cache, monkeypatch):
    """A small generator in place of the one that comes with hsc, and an empty cache."""
    return put_in_place(tmp_path, monkeypatch, seed=0)


def put_in_place(folder: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> Path:
    torch.manual_seed(seed)
    weights = folder / f"generator-{seed}.safetensors"
    save_generator(weights, StyleGAN2([8, 8, 8], z_dim=16, w_dim=16, mapping_layers=2))
    monkeypatch.setattr(places, "DEFAULT_PRIOR", str(weights))
    return weights


def test_a_missing_path_says_where_faces_come_from(tmp_path, monkeypatch):
    monkeypatch.setenv("HSC_DATA", str(tmp_path))
    with pytest.raises(HscError, match=r"HSC_DATA.*generated:600") as caught:
        open_faces("nowhere.zip")
    assert str(tmp_path / "nowhere.zip") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_relative_paths_are_looked_up_here_and_then_in_the_data_folder(tmp_path, monkeypatch):
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    monkeypatch.setenv("HSC_DATA", str(there))
    monkeypatch.chdir(here)
    (there / "faces.zip").touch()
    assert resolve_data("faces.zip") == there / "faces.zip"
    (here / "faces.zip").touch()
    assert resolve_data("faces.zip") == Path("faces.zip")


def test_generated_faces_are_drawn_once(tmp_path, prior, capsys):
    faces = open_faces("generated:3")
    assert faces.names == ["00000.png", "00001.png", "00002.png"]
    assert faces.generated
    assert faces.path.name == "generated:3"
    assert "generated:3: generating faces" in capsys.readouterr().err
    assert str(tmp_path / "cache") in str(faces.path)
    assert open_faces(Path("generated:3"), "00001-00002").names == ["00001.png", "00002.png"]
    assert capsys.readouterr().err == ""


def test_generated_faces_are_those_of_hsc_data_sample(tmp_path, prior):
    sample(tmp_path / "faces.zip", 3, Recipe(), prior)
    assert resolve_data("generated:3").read_bytes() == (tmp_path / "faces.zip").read_bytes()


def test_another_prior_draws_anew(tmp_path, prior, monkeypatch):
    before = resolve_data("generated:2").read_bytes()
    put_in_place(tmp_path, monkeypatch, seed=1)
    assert resolve_data("generated:2").read_bytes() != before


def test_generated_faces_without_a_cache(prior, no_cache, capsys):
    assert len(open_faces("generated:2")) == 2
    assert "continuing without the cache" in capsys.readouterr().err


@pytest.mark.parametrize("count", ["", "0", "-1", "6e2", "²"])
def test_a_number_of_faces_must_be_one(prior, count):
    with pytest.raises(HscError, match=r"give the number of faces, such as generated:600"):
        resolve_data(f"generated:{count}")
