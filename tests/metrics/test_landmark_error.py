"""Landmark error by hand."""

import pytest
import torch

from hsc.metrics import LandmarkError, landmark_nme

CORNERS = (36, 45)


def points(count: int) -> torch.Tensor:
    reference = torch.rand(count, 68, 2, generator=torch.Generator().manual_seed(0)) * 100
    reference[:, CORNERS[0]], reference[:, CORNERS[1]] = (
        torch.tensor([20.0, 50.0]),
        torch.tensor([60.0, 80.0]),
    )  # 50 apart
    return reference


def test_a_shift_of_a_tenth_of_the_outer_eye_distance():
    reference = points(3)
    shift = torch.tensor([3.0, 4.0]) * torch.tensor([0.0, 1.0, 2.0])[:, None, None]
    assert landmark_nme(reference, reference + shift, CORNERS).tolist() == pytest.approx([0, 0.1, 0.2], abs=1e-6)


def test_faces_without_landmarks_are_left_out_of_the_error_and_counted():
    reference = points(4)
    decoded = reference + torch.tensor([3.0, 4.0])
    decoded[3] = torch.nan
    metric = LandmarkError(CORNERS)
    metric.update(list("abcd"), reference, decoded, torch.tensor([True, False, True, False]))
    result = metric.compute()
    assert result["landmark_nme"].item() == pytest.approx(0.1)
    assert result["detection_rate"].item() == 0.5


def test_without_a_detector_there_is_no_detection_rate():
    metric = LandmarkError(CORNERS)
    metric.update(list("abcd"), points(4), points(4))
    assert {name: value.item() for name, value in metric.compute().items()} == {"landmark_nme": 0}
