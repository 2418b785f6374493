"""Landmarks of the originals, computed once."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from hsc.data.dataset import FaceDataset
from hsc.data.faces import open_faces
from hsc.data.landmarks import landmark_cache
from hsc.errors import HscError


class BrightestPixel:
    """Finds one point, the brightest pixel's (x, y), and counts the images it has seen."""

    def __init__(self, name="brightest"):
        self.name = name
        self.seen = 0

    def __call__(self, image):
        self.seen += len(image)
        place = image.mean(1).flatten(1).argmax(1)
        return torch.stack([place % image.shape[-1], place // image.shape[-1]], 1)[:, None]


@pytest.fixture
def faces(tmp_path, cache):
    """Forty black 16² images; image i has one white pixel at x = i mod 16, y = i div 16."""
    (tmp_path / "faces").mkdir()
    for i in range(40):
        image = Image.new("RGB", (16, 16))
        image.putpixel((i % 16, i // 16), (255, 255, 255))
        image.save(tmp_path / "faces" / f"{i:02d}.png")
    return open_faces(tmp_path / "faces")


def test_points_of_image_and_mirror_image(faces):
    cache = landmark_cache(FaceDataset(faces, 16), BrightestPixel())
    assert len(cache) == 40
    for i in range(40):
        assert cache[i, False].tolist() == [[i % 16, i // 16]]
        assert cache[i, True].tolist() == [[15 - i % 16, i // 16]]
    assert cache[np.array([3, 3]), np.array([0, 1])].tolist() == [[[3, 0]], [[12, 0]]]
    assert cache[0, False].dtype == np.float32


def test_computed_once_for_each_set_size_and_judge(faces):
    judge = BrightestPixel()
    landmark_cache(FaceDataset(faces, 16), judge)
    assert judge.seen == 80
    landmark_cache(FaceDataset(faces, 16), judge)
    assert judge.seen == 80
    landmark_cache(FaceDataset(faces, 8), judge)
    assert judge.seen == 160
    landmark_cache(FaceDataset(faces.select(faces.names[:10]), 16), judge)
    assert judge.seen == 180
    other = BrightestPixel("other/judge:2")
    landmark_cache(FaceDataset(faces, 16), other)
    assert other.seen == 80


@pytest.mark.parametrize("cached", [True, False])
def test_each_picture_is_decoded_once(faces, monkeypatch, cached):
    """For the landmarks of picture and mirror image; in RAM also for the training that follows."""
    decoded = []
    load = type(faces).load
    monkeypatch.setattr(type(faces), "load", lambda self, name: decoded.append(name) or load(self, name))
    dataset = FaceDataset(faces, 16, cache=cached)
    dataset.add_landmarks(landmark_cache(dataset, BrightestPixel()))
    assert sorted(decoded) == faces.names
    dataset[[0, 41]]
    assert len(decoded) == (40 if cached else 42)


def test_images_read_by_other_processes_have_the_same_points(faces, monkeypatch, tmp_path):
    found = landmark_cache(FaceDataset(faces, 16), BrightestPixel())
    monkeypatch.setenv("HSC_CACHE", str(tmp_path / "other"))
    again = landmark_cache(FaceDataset(faces, 16, cache=False), BrightestPixel(), workers=2)
    everything = np.arange(40)
    assert np.array_equal(found[everything, everything % 2], again[everything, everything % 2])


def test_an_interrupted_computation_leaves_nothing(faces, cache):
    judge = BrightestPixel()

    def interrupted(image):
        raise KeyboardInterrupt

    interrupted.name = judge.name
    with pytest.raises(KeyboardInterrupt):
        landmark_cache(FaceDataset(faces, 16), interrupted)
    assert not list((cache / "landmarks").rglob("*"))
    assert len(landmark_cache(FaceDataset(faces, 16), judge)) == 40


def test_without_a_cache_they_are_computed_once_in_this_process(faces, no_cache, capsys):
    judge = BrightestPixel("unkept")
    first, again = landmark_cache(FaceDataset(faces, 16), judge), landmark_cache(FaceDataset(faces, 16), judge)
    assert judge.seen == 80
    assert len(first) == len(again) == 40
    assert "set HSC_CACHE" in capsys.readouterr().err


def test_points_that_are_no_points_are_refused(faces):
    def nowhere(image):
        return torch.full((len(image), 5, 2), torch.nan)

    def flat(image):
        return torch.zeros(len(image), 10)

    for judge in (nowhere, flat):
        judge.name = judge.__name__
        with pytest.raises(HscError, match=f"{judge.name} must give finite points"):
            landmark_cache(FaceDataset(faces, 16), judge)


def test_batches_carry_the_points_that_match_the_flip(faces):
    judge = BrightestPixel()
    whole = FaceDataset(faces, 16)
    whole.add_landmarks(landmark_cache(whole, judge))
    dataset = pickle.loads(pickle.dumps(whole))
    batch = dataset[[5, 40 + 5, 39, 40 + 39]]
    assert batch["landmarks"].shape == (4, 1, 2)
    assert torch.equal(batch["landmarks"], judge(batch["image"]).float())
    assert torch.equal(dataset[45]["landmarks"], batch["landmarks"][1])


def test_points_of_another_set_or_size_are_refused(faces):
    cache = landmark_cache(FaceDataset(faces, 16), BrightestPixel())
    with pytest.raises(HscError, match="40 images at 16 pixels do not fit 40 images at 8"):
        FaceDataset(faces, 8).add_landmarks(cache)
    with pytest.raises(HscError, match="do not fit 3 images"):
        FaceDataset(faces.select(faces.names[:3]), 16).add_landmarks(cache)
