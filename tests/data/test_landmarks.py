"""Landmarks of the originals are computed once."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from hsc.data.dataset import FaceDataset
from hsc.data.faces import open_faces
from hsc.errors import HscError


class BrightestPixel:
    """Returns one point, the (x, y) of the brightest pixel, and counts its images."""

    def __init__(self, name="brightest"):
        self.name = name
        self.seen = 0

    def __call__(self, image):
        self.seen += len(image)
        place = image.mean(1).flatten(1).argmax(1)
        return torch.stack([place % image.shape[-1], place // image.shape[-1]], 1)[:, None]


def points_of(faces, judge=None, size=16, cache=None, workers=0):
    """Points [n, 2, 1, 2] of the images of a set and of their mirror images."""
    dataset = FaceDataset(faces, size, cache=cache)
    dataset.add_landmarks(judge or BrightestPixel(), workers)
    return dataset.landmarks.points


@pytest.fixture
def faces(tmp_path, cache):
    """Forty black 16×16 images; image i has one white pixel at x = i mod 16, y = i div 16."""
    (tmp_path / "faces").mkdir()
    for i in range(40):
        image = Image.new("RGB", (16, 16))
        image.putpixel((i % 16, i // 16), (255, 255, 255))
        image.save(tmp_path / "faces" / f"{i:02d}.png")
    return open_faces(tmp_path / "faces")


def test_points_of_image_and_mirror_image(faces):
    points = points_of(faces)
    assert (points.shape, points.dtype) == ((40, 2, 1, 2), np.float32)
    for i in range(40):
        assert points[i].tolist() == [[[i % 16, i // 16]], [[15 - i % 16, i // 16]]]


def test_computed_once_for_each_set_size_and_judge(faces):
    judge = BrightestPixel()
    points_of(faces, judge)
    assert judge.seen == 80
    points_of(faces, judge)
    assert judge.seen == 80
    points_of(faces, judge, size=8)
    assert judge.seen == 160
    points_of(faces.select(faces.names[:10]), judge)
    assert judge.seen == 180
    other = BrightestPixel("other/judge:2")
    points_of(faces, other)
    assert other.seen == 80


@pytest.mark.parametrize("cached", [True, False])
def test_each_picture_is_decoded_once(faces, monkeypatch, cached):
    """Once for the landmarks of the picture and its mirror image; if cached in RAM, also for training."""
    decoded = []
    load = type(faces).load
    monkeypatch.setattr(type(faces), "load", lambda self, name: decoded.append(name) or load(self, name))
    dataset = FaceDataset(faces, 16, cache=cached)
    dataset.add_landmarks(BrightestPixel())
    assert sorted(decoded) == faces.names
    dataset[[0, 41]]
    assert len(decoded) == (40 if cached else 42)


def test_images_read_by_other_processes_have_the_same_points(faces, monkeypatch, tmp_path):
    found = points_of(faces)
    monkeypatch.setenv("HSC_CACHE", str(tmp_path / "other"))
    assert np.array_equal(found, points_of(faces, cache=False, workers=2))


def test_an_interrupted_computation_leaves_nothing(faces, cache):
    judge = BrightestPixel()

    def interrupted(image):
        raise KeyboardInterrupt

    interrupted.name = judge.name
    with pytest.raises(KeyboardInterrupt):
        points_of(faces, interrupted)
    assert not list((cache / "landmarks").rglob("*"))
    assert len(points_of(faces, judge)) == 40


def test_without_a_cache_they_are_computed_once_in_this_process(faces, no_cache, capsys):
    judge = BrightestPixel("unkept")
    first, again = points_of(faces, judge), points_of(faces, judge)
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
            points_of(faces, judge)


def test_batches_carry_the_points_that_match_the_flip(faces):
    judge = BrightestPixel()
    whole = FaceDataset(faces, 16)
    whole.add_landmarks(judge)
    dataset = pickle.loads(pickle.dumps(whole))
    batch = dataset[[5, 40 + 5, 39, 40 + 39]]
    assert batch["landmarks"].shape == (4, 1, 2)
    assert torch.equal(batch["landmarks"], judge(batch["image"]).float())
    assert torch.equal(dataset[45]["landmarks"], batch["landmarks"][1])
