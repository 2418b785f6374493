"""Landmark error compared with values computed by hand."""

import pytest
import torch

from hsc.judges import Judge
from hsc.metrics.measures import Landmarks, landmark_nme
from hsc.metrics.per_image import PerImageMean

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


class Numbered(Judge):
    """Landmarker: every pixel of an image holds an index, and the points with that index are returned."""

    name, family, kind, outer_eye_corners = "numbered", "none", "landmarker", CORNERS

    def __init__(self, points: torch.Tensor) -> None:
        super().__init__()
        self.points = points

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.points[image[:, 0, 0, 0].long()]


class Detecting(Numbered):
    def detects(self, image: torch.Tensor) -> torch.Tensor:
        return image[:, 0, 0, 0] % 2 == 0


def means(judge: Judge, originals: list[int], decoded: list[int]) -> dict[str, float]:
    measure = Landmarks(judge)
    metric = PerImageMean(*measure.judges)
    seen = torch.tensor([originals, decoded]).float()[..., None, None, None].expand(-1, -1, 3, 4, 4)
    metric.update([str(number) for number in originals], measure.ask(*seen))
    return {name: value.item() for name, value in metric.compute().items()}


def test_faces_without_landmarks_are_left_out_of_the_error_and_counted():
    reference = points(4)
    decoded = reference + torch.tensor([3.0, 4.0])
    decoded[3] = torch.nan
    found = means(Detecting(torch.cat([reference, decoded])), [0, 1, 2, 3], [4, 5, 6, 7])
    assert found == {"landmark_nme": pytest.approx(0.1), "detection_rate": 0.5}


def test_without_a_detector_there_is_no_detection_rate():
    assert means(Numbered(points(4)), [0, 1, 2, 3], [0, 1, 2, 3]) == {"landmark_nme": 0}
