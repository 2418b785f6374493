"""Landmark error: how far the points of a decoded face lie from those of its original."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hsc.metrics.per_image import PerImage


def landmark_nme(reference: Tensor, points: Tensor, outer_eye_corners: tuple[int, int]) -> Tensor:
    """Normalised mean error [N], float64: mean point distance ÷ distance of the outer eye corners of the reference.

    reference, points: [N, P, 2] in the same pixels. `outer_eye_corners`: the numbers of these two points, which a
    landmark judge tells.
    """
    left, right = (reference[:, corner].double() for corner in outer_eye_corners)
    return (points.double() - reference.double()).norm(dim=2).mean(dim=1) / (left - right).norm(dim=1)


class LandmarkError(PerImage):
    """Mean NME over the decoded faces that have landmarks, and the share in which a face was detected."""

    def __init__(self, outer_eye_corners: tuple[int, int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.outer_eye_corners = outer_eye_corners

    def update(  # type: ignore[override]
        self, names: Sequence[str], reference: Tensor, points: Tensor, detected: Tensor | None = None
    ) -> None:
        """Add images by name, with landmarks [N, P, 2] of original and decoded face; NaN where none were found.

        `detected` [N]: whether a face detector finds a face in the decoded image, which need not hinder landmarks from
        being placed (in a fixed box, for aligned faces). Without it no detection rate is reported.
        """
        nme = landmark_nme(reference, points.to(reference.device), self.outer_eye_corners)
        found = torch.full_like(nme, torch.nan) if detected is None else detected.to(nme)
        super().update(names, torch.stack([nme, found], dim=1))

    def named(self, values: Tensor) -> dict[str, Tensor]:
        return {"landmark_nme": values[:, 0], "detected": values[:, 1]}

    def compute(self) -> dict[str, Tensor]:
        """`landmark_nme` (0.01 is 1 %) and `detection_rate` in [0, 1], where known for at least one image."""
        keys, values = self.table()
        if not len(keys):
            return {}
        means = {"landmark_nme": values[:, 0].nanmean(), "detection_rate": values[:, 1].nanmean()}
        return {name: mean for name, mean in means.items() if not mean.isnan()}
