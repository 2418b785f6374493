"""Landmark error by hand."""

import pytest
import torch

from hsc.errors import HscError
from hsc.metrics import LandmarkError, landmark_nme


def points(count: int) -> torch.Tensor:
    reference = torch.rand(count, 68, 2, generator=torch.Generator().manual_seed(0)) * 100
    reference[:, 36], reference[:, 45] = torch.tensor([20.0, 50.0]), torch.tensor([60.0, 80.0])  # 50 apart
    return reference


def test_a_shift_of_a_tenth_of_the_outer_eye_distance():
    reference = points(3)
    shift = torch.tensor([3.0, 4.0]) * torch.tensor([0.0, 1.0, 2.0])[:, None, None]
    assert landmark_nme(reference, reference + shift).tolist() == pytest.approx([0, 0.1, 0.2], abs=1e-6)


def test_own_layouts_name_their_eye_corners():
    reference = torch.tensor([[[0.0, 0.0], [8.0, 0.0], [4.0, 5.0]]])
    assert landmark_nme(reference, reference + 2, outer_eyes=(0, 1)).item() == pytest.approx(8**0.5 / 8)
    with pytest.raises(HscError, match="3 landmarks"):
        landmark_nme(reference, reference)


def test_faces_without_landmarks_are_left_out_of_the_error_and_counted():
    reference = points(4)
    decoded = reference + torch.tensor([3.0, 4.0])
    decoded[3] = torch.nan
    metric = LandmarkError()
    metric.update(list("abcd"), reference, decoded, torch.tensor([True, False, True, False]))
    result = metric.compute()
    assert result["landmark_nme"].item() == pytest.approx(0.1)
    assert result["detection_rate"].item() == 0.5


def test_without_a_detector_there_is_no_detection_rate():
    metric = LandmarkError()
    metric.update(list("abcd"), points(4), points(4))
    assert {name: value.item() for name, value in metric.compute().items()} == {"landmark_nme": 0}
