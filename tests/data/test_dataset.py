"""The data set of faces as tensors."""

import numpy as np
import pytest
import torch
from pictures import write_pictures
from PIL import Image

from hsc.data.dataset import FaceDataset
from hsc.data.faces import open_faces
from hsc.errors import HscError
from hsc.images import load_image, resize, to_tensor


@pytest.fixture
def folder(tmp_path):
    """Nine noise images of 20×20 pixels."""
    return write_pictures(tmp_path / "faces", 9, 20, digits=1)


def test_an_image_at_its_own_size_is_untouched(folder):
    dataset = FaceDataset(open_faces(folder))
    assert dataset.size == 20
    item = dataset[3]
    assert set(item) == {"image", "index", "name"}
    assert (item["index"], item["name"]) == (3, "3.png")
    assert torch.equal(item["image"], to_tensor(load_image(folder / "3.png")))


@pytest.mark.parametrize("size", [8, 20, 32])
def test_resizing_is_antialiased_and_rounded_to_bytes(folder, size):
    image = FaceDataset(open_faces(folder), size)[0]["image"]
    exact = resize(to_tensor(load_image(folder / "0.png"))[None], size)[0].clamp(-1, 1)
    assert image.shape == (3, size, size)
    assert image.dtype == torch.float32
    assert (image - exact).abs().max() <= 0.5 / 127.5 + 1e-5
    bytes_ = image.add(1).mul(127.5)
    torch.testing.assert_close(bytes_, bytes_.round(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [None, 8])
def test_the_cache_changes_no_pixel(folder, size):
    faces, keys = open_faces(folder), [0, 12, 5, 17, 5]
    cached, read = FaceDataset(faces, size, cache=True), FaceDataset(faces, size, cache=False)
    assert cached.cached
    assert not read.cached
    assert torch.equal(cached[keys]["image"], read[keys]["image"])


def test_a_batch_is_its_images_and_keys_beyond_the_length_mirror(folder):
    dataset = FaceDataset(open_faces(folder), 8)
    batch = dataset[[2, 9 + 2, 9 + 4]]
    assert batch["index"].tolist() == [2, 2, 4]
    assert batch["index"].dtype == torch.int64
    assert batch["name"] == ["2.png", "2.png", "4.png"]
    assert torch.equal(batch["image"][1], batch["image"][0].flip(-1))
    assert torch.equal(batch["image"][2], dataset[13]["image"])
    assert torch.equal(dataset[2]["image"], batch["image"][0])  # the cache itself was not mirrored


@pytest.mark.parametrize("key", [-1, 18])
def test_other_keys_are_refused(folder, key):
    with pytest.raises(IndexError):
        FaceDataset(open_faces(folder))[key]


@pytest.mark.parametrize("cache", [True, False])
def test_images_of_another_size_or_shape_are_named(folder, cache):
    Image.new("RGB", (24, 24)).save(folder / "big.png")
    with pytest.raises(HscError, match=r"big\.png is 24 pixels wide, 0\.png is 20"):
        FaceDataset(open_faces(folder), cache=cache)[9]
    assert FaceDataset(open_faces(folder), 8, cache=cache)[9]["image"].shape == (3, 8, 8)
    Image.new("RGB", (24, 20)).save(folder / "wide.png")
    with pytest.raises(HscError, match=r"wide\.png is 24×20, not square"):
        FaceDataset(open_faces(folder), 8, cache=cache)[10]


def test_large_images_are_not_cached(folder):
    faces = open_faces(folder)
    assert FaceDataset(faces, 128).cached
    assert not FaceDataset(faces, 129).cached


def test_grey_and_turned_images_are_tensors_like_all_others(tmp_path):
    Image.new("L", (8, 8), 255).save(tmp_path / "0.png")
    turned = Image.new("RGB", (8, 8))
    turned.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "1.png", exif=exif)
    grey, upright = FaceDataset(open_faces(tmp_path))[[0, 1]]["image"]
    assert torch.equal(grey, torch.ones(3, 8, 8))
    assert (upright[0] == 1).nonzero().tolist() == [[0, 7]]  # a quarter turn: top left becomes top right


def test_large_and_small_images_of_one_set(folder):
    large = np.random.default_rng(1).integers(256, size=(80, 80, 3), dtype=np.uint8)
    Image.fromarray(large).save(folder / "3.png")
    small = FaceDataset(open_faces(folder), 20)[[2, 9 + 2]]["image"]
    for cache in (False, True):
        batch = FaceDataset(open_faces(folder), 80, cache, small_size=20)[[3, 2, 9 + 2]]
        assert batch["large"] == [True, False, False]
        assert torch.equal(batch["image"][0], to_tensor(Image.fromarray(large)))
        means = torch.nn.functional.avg_pool2d(batch["image"][1:], 4)
        torch.testing.assert_close(means, small, atol=1e-6, rtol=0)
