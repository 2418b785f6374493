"""Data sets of generated faces."""

import zipfile

import numpy as np
import pytest
import torch

from hsc.checkpoints import save_generator
from hsc.data.faces import is_generated, open_faces
from hsc.data.sample import sample
from hsc.errors import HscError
from hsc.nets.stylegan2 import StyleGAN2


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "generator.safetensors"
    save_generator(path, StyleGAN2([8, 8, 8], z_dim=16, w_dim=16, mapping_layers=2))
    return path


def pixels(path):
    faces = open_faces(path)
    return np.stack([np.asarray(faces.load(name)) for name in faces.names])


def test_equal_arguments_give_equal_bytes(tmp_path, weights):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        sample(tmp_path / f"{name}.zip", 5, seed, weights)
    first, again, other = ((tmp_path / f"{name}.zip").read_bytes() for name in "abc")
    assert first == again
    assert first != other


def test_a_face_depends_on_its_number_and_not_on_the_count(tmp_path, weights):
    sample(tmp_path / "few.zip", 3, 1, weights)
    sample(tmp_path / "many.zip", 20, 1, weights)
    few, many = pixels(tmp_path / "few.zip"), pixels(tmp_path / "many.zip")
    assert few.shape == (3, 16, 16, 3)
    assert np.array_equal(few, many[:3])
    assert len(np.unique(many.reshape(20, -1), axis=0)) == 20


def test_the_set_says_that_it_is_generated(tmp_path, weights):
    sample(tmp_path / "faces.zip", 2, 7, weights)
    faces = open_faces(tmp_path / "faces.zip")
    assert faces.names == ["00000.png", "00001.png"]
    assert is_generated(faces)
    assert is_generated(faces.select(["00001.png"]))
    with zipfile.ZipFile(tmp_path / "faces.zip") as archive:
        archive.extractall(tmp_path / "folder")
    assert is_generated(open_faces(tmp_path / "folder"))
    note = (tmp_path / "folder" / ".generated-faces").read_text()
    assert note == "generated faces: generator, seed 7, truncation 0.7\n"


def test_truncation_draws_towards_the_average_and_size_resizes(tmp_path, weights):
    sample(tmp_path / "average.zip", 3, 1, weights, truncation=0, size=8)
    sample(tmp_path / "varied.zip", 3, 1, weights, truncation=1, size=8)
    average, varied = pixels(tmp_path / "average.zip"), pixels(tmp_path / "varied.zip")
    assert average.shape == (3, 8, 8, 3)
    assert average.std(0).max() == 0
    assert varied.std(0).max() > 0


@pytest.mark.parametrize("wrong", [{"count": 0}, {"truncation": 1.5}, {"size": 0}])
def test_impossible_arguments_are_refused_and_nothing_is_written(tmp_path, weights, wrong):
    with pytest.raises(HscError, match="cannot draw"):
        sample(tmp_path / "faces.zip", **{"count": 1, "generator": weights} | wrong)
    assert not list(tmp_path.iterdir())


def test_an_unreadable_generator_leaves_no_file(tmp_path):
    (tmp_path / "weights.pt").write_bytes(b"?")
    with pytest.raises(HscError, match=r"weights\.pt"):
        sample(tmp_path / "faces.zip", 1, generator=tmp_path / "weights.pt")
    assert not (tmp_path / "faces.zip").exists()


def test_an_imported_generator(shared_dir, tmp_path):
    sample(tmp_path / "faces.zip", 2, generator=shared_dir / "fixtures" / "stylegan2-64-rosinality.pt")
    assert pixels(tmp_path / "faces.zip").shape == (2, 64, 64, 3)
