"""Data sets of generated faces."""

import zipfile

import numpy as np
import pytest
import torch

from hsc.checkpoints import load_generator, save_generator
from hsc.data.faces import open_faces
from hsc.data.sample import Recipe, sample
from hsc.errors import HscError
from hsc.images import to_uint8
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
        sample(tmp_path / f"{name}.zip", 5, Recipe(seed), weights)
    first, again, other = ((tmp_path / f"{name}.zip").read_bytes() for name in "abc")
    assert first == again
    assert first != other


def test_a_face_depends_on_its_number_and_not_on_the_count(tmp_path, weights):
    sample(tmp_path / "few.zip", 3, Recipe(1), weights)
    sample(tmp_path / "many.zip", 20, Recipe(1), weights)
    few, many = pixels(tmp_path / "few.zip"), pixels(tmp_path / "many.zip")
    assert few.shape == (3, 16, 16, 3)
    assert np.array_equal(few, many[:3])
    assert len(np.unique(many.reshape(20, -1), axis=0)) == 20


def test_the_set_says_that_it_is_generated(tmp_path, weights):
    sample(tmp_path / "faces.zip", 2, Recipe(7), weights)
    faces = open_faces(tmp_path / "faces.zip")
    assert faces.names == ["00000.png", "00001.png"]
    assert faces.generated
    assert faces.select(["00001.png"]).generated
    with zipfile.ZipFile(tmp_path / "faces.zip") as archive:
        archive.extractall(tmp_path / "folder")
    assert open_faces(tmp_path / "folder").generated
    note = (tmp_path / "folder" / ".generated-faces").read_text()
    assert note == "generated faces: generator, seed 7, truncation 0.7\n"


def styles(path):
    with zipfile.ZipFile(path) as archive, archive.open(".generated-styles.npy") as file:
        return np.load(file, allow_pickle=False)


def test_styles_lie_beside_the_faces(tmp_path, weights):
    """The stored styles reproduce the faces exactly, and the file can be read as a set of faces."""
    sample(tmp_path / "faces.zip", 3, Recipe(1, (0.5, 1), 0.5), weights)
    ws = styles(tmp_path / "faces.zip")
    assert (ws.dtype, ws.shape) == (np.float16, (3, 6, 16))
    with torch.inference_mode():
        images = load_generator(weights).synthesis(torch.from_numpy(ws).float())
    difference = np.abs(pixels(tmp_path / "faces.zip").astype(int) - to_uint8(images))
    assert difference.max() <= 1


@pytest.mark.parametrize("recipe", [Recipe(5, (0.5, 1.0), 0.7), Recipe(5, (0.3, 0.9)), Recipe(5, (0.7, 0.7), 1.0)])
def test_a_face_of_a_range_or_mixed_is_this_function_of_seed_and_number(tmp_path, weights, recipe):
    sample(tmp_path / "faces.zip", 8, recipe, weights)
    generator = load_generator(weights)
    expected = []
    for i in range(8):
        rng = np.random.default_rng([5, i])
        z1, z2 = rng.standard_normal(16, np.float32), rng.standard_normal(16, np.float32)
        mixed = rng.random() < recipe.mixing
        cut = int(rng.integers(1, 6))
        psi = rng.uniform(*recipe.truncation)
        with torch.inference_mode():
            w1, w2 = generator.mapping(torch.from_numpy(np.stack([z1, z2])))[:, 0]
        rows = [w1 if not mixed or row < cut else w2 for row in range(6)]
        expected.append(torch.stack([generator.mean_w + psi * (w - generator.mean_w) for w in rows]))
    np.testing.assert_allclose(styles(tmp_path / "faces.zip"), torch.stack(expected), atol=2e-3, rtol=2e-3)


def test_smaller_faces_are_means_over_areas(tmp_path, weights):
    sample(tmp_path / "faces.zip", 2, Recipe(), weights, size=4)
    with torch.inference_mode():
        images = load_generator(weights).synthesis(torch.from_numpy(styles(tmp_path / "faces.zip")).float())
    expected = to_uint8(images.unflatten(3, (4, 4)).unflatten(2, (4, 4)).mean((3, 5)))
    assert np.abs(pixels(tmp_path / "faces.zip").astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": 0},
        {"recipe": Recipe(0, (0.5, 1.5))},
        {"recipe": Recipe(0, (0.8, 0.2))},
        {"recipe": Recipe(mixing=2)},
        {"size": 0},
        {"size": 32},  # the generator's size is 16×16
    ],
)
def test_impossible_arguments_are_refused_and_nothing_is_written(tmp_path, weights, wrong):
    with pytest.raises(HscError, match="cannot draw"):
        sample(tmp_path / "faces.zip", **{"count": 1, "recipe": Recipe(), "generator": weights} | wrong)
    assert not list(tmp_path.iterdir())


def test_an_unreadable_generator_leaves_no_file(tmp_path):
    (tmp_path / "weights.pt").write_bytes(b"?")
    with pytest.raises(HscError, match=r"weights\.pt"):
        sample(tmp_path / "faces.zip", 1, Recipe(), tmp_path / "weights.pt")
    assert not (tmp_path / "faces.zip").exists()
