"""The square and the crop, compared with another implementation of the published recipe."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hsc.data.prepare import Settings, prepare
from hsc.data.prepare.alignment import cut_out, recipe_corners, side_of


def published_corners(landmarks: np.ndarray) -> np.ndarray:
    """The recipe in complex numbers x + iy, in which a quarter turn is a multiplication by i."""
    points = landmarks[:, 0] + 1j * landmarks[:, 1]
    eyes = points[36:42].mean(), points[42:48].mean()
    eye_to_eye, middle = eyes[1] - eyes[0], sum(eyes) / 2
    eye_to_mouth = (points[48] + points[54]) / 2 - middle
    x = eye_to_eye - 1j * eye_to_mouth
    x *= max(2.0 * abs(eye_to_eye), 1.8 * abs(eye_to_mouth)) / abs(x)
    centre = middle + 0.1 * eye_to_mouth
    corners = np.array([centre - x - 1j * x, centre - x + 1j * x, centre + x + 1j * x, centre + x - 1j * x])
    return np.stack([corners.real, corners.imag], 1)


def face_at(middle: complex, size: float, angle: float) -> np.ndarray:
    """68 landmarks with the eyes and mouth placed as in a face: eyes `size` apart, mouth `size` below."""
    generator = np.random.default_rng(0)
    points = generator.normal(size=68) + 1j * generator.normal(size=68)
    points[36:42] = -0.5 + 0.1 * np.exp(1j * np.arange(6))
    points[42:48] = 0.5 + 0.1 * np.exp(1j * np.arange(6))
    points[48], points[54] = -0.4 + 1j, 0.4 + 1j
    points = middle + size * np.exp(1j * angle) * points
    return np.stack([points.real, points.imag], 1)


@given(st.floats(-500, 2000), st.floats(-500, 2000), st.floats(5, 800), st.floats(-3.1, 3.1))
def test_corners_are_the_published_ones(x: float, y: float, size: float, angle: float):
    landmarks = face_at(complex(x, y), size, angle)
    np.testing.assert_allclose(recipe_corners(landmarks), published_corners(landmarks), atol=1e-6)


@pytest.mark.parametrize("size", [32, 100, 256])
@pytest.mark.parametrize("angle", [0.0, 0.4, -2.5])
def test_a_crop_shows_what_lies_in_its_square(size: int, angle: float):
    """If pixel values are pixel coordinates, the values of the crop are the coordinates of the points in the square."""
    across, down = np.meshgrid(np.arange(256), np.arange(256))
    image = Image.fromarray(np.stack([across, down, 0 * down], 2).astype(np.uint8))
    corners = recipe_corners(face_at(complex(130, 125), 35, angle))
    crop = np.asarray(cut_out(image, corners, size), np.float64)
    step = (np.arange(size) + 0.5) / size
    right, below = corners[3] - corners[0], corners[1] - corners[0]
    error = crop[..., :2] - (corners[0] + step[None, :, None] * right + step[:, None, None] * below)
    assert np.abs(error).max() < 0.6  # rounding
    assert np.abs(error.mean((0, 1))).max() < 0.02


def test_shrinking_is_antialiased():
    stripes = np.zeros((1200, 1200, 3), np.uint8)
    stripes[:, ::2] = 255
    corners = np.array([[100.0, 100], [100, 1100], [1100, 1100], [1100, 100]])
    crop = np.asarray(cut_out(Image.fromarray(stripes), corners, 64), np.float64)
    assert crop.std() < 3
    assert abs(crop.mean() - 127.5) < 2


def test_surroundings_continue_the_picture_and_fade():
    generator = np.random.default_rng(0)
    image = Image.fromarray(generator.integers(60, 200, (200, 200, 3), dtype=np.uint8))
    corners = np.array([[-100.0, 0], [-100, 200], [100, 200], [100, 0]])  # its left half is outside
    crop = np.asarray(cut_out(image, corners, 200), np.float64)
    inside, near, far = crop[60:140, 150:], crop[60:140, 70:90], crop[60:140, :20]
    assert inside.std() > 3 * near.std() > 3 * far.std()
    assert np.abs(far - np.median(np.asarray(image), (0, 1))).max() < 8
    assert crop.min() > 0  # nothing black


def test_a_face_inside_is_not_touched():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8))
    corners = np.array([[49.5, 49.5], [49.5, 249.5], [249.5, 249.5], [249.5, 49.5]])
    np.testing.assert_array_equal(np.asarray(cut_out(image, corners, 200)), np.asarray(image)[50:250, 50:250])


def test_portraits_end_up_where_ffhq_has_its_faces(portraits: Path, tmp_path: Path):
    """Eight portraits of the set; docs/new-faces.md has the figures for all."""
    (tmp_path / "some").mkdir()
    with zipfile.ZipFile(portraits) as archive:
        for name in sorted(archive.namelist())[::15]:
            archive.extract(name, tmp_path / "some")
    report = prepare(tmp_path / "some", tmp_path / "faces.zip", Settings(256, validation="0", test="0"), workers=1)
    assert sum(report.splits.values()) == report.photographs == 8
    middles = []
    for line in report.manifest.read_text().splitlines():
        face = json.loads(line)
        corners, landmarks = np.array(face["corners"]), np.array(face["landmarks"])
        assert np.abs(corners - published_corners(landmarks)).max() * 1024 / side_of(corners) < 0.5
        # Centre of the eyes in the crop, as a fraction of its side.
        axes = np.stack([corners[3] - corners[0], corners[1] - corners[0]]) / side_of(corners) ** 2
        middles.append(axes @ (landmarks[36:48].reshape(2, 6, 2).mean((0, 1)) - corners[0]))
    assert np.abs(np.mean(middles, 0) - (0.5, 0.475)).max() < 0.01
    assert np.std(middles, 0).max() < 0.03
