"""Landmark error: how far the points of a decoded face lie from those of its original."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hsc.errors import HscError
from hsc.metrics.per_image import PerImage

# Outer eye corners by the number of points of the usual layouts.
OUTER_EYES = {
    68: (36, 45),  # 300-W, dlib
    98: (60, 72),  # WFLW
    106: (35, 93),  # insightface 2d106det
    468: (33, 263),  # MediaPipe face mesh
    478: (33, 263),  # MediaPipe face mesh with irises
}


def landmark_nme(reference: Tensor, points: Tensor, outer_eyes: tuple[int, int] | None = None) -> Tensor:
    """Normalised mean error [N]: mean point distance ÷ distance of the outer eye corners of the reference.

    reference, points: [N, P, 2] in the same pixels. `outer_eyes`: indices of the two corners, known for the usual
    layouts. Raises HscError for an unknown layout.
    """
    corners = outer_eyes or OUTER_EYES.get(reference.shape[1])
    if corners is None:
        raise HscError(
            f"no outer eye corners known for {reference.shape[1]} landmarks; give the landmark judge an attribute "
            "outer_eyes = (index, index)"
        )
    left, right = reference[:, corners[0]].double(), reference[:, corners[1]].double()
    return (points.double() - reference.double()).norm(dim=2).mean(dim=1) / (left - right).norm(dim=1)


class LandmarkError(PerImage):
    """Mean NME over the decoded faces that have landmarks, and the share in which a face was detected."""

    def __init__(self, outer_eyes: tuple[int, int] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.outer_eyes = outer_eyes

    def update(  # type: ignore[override]
        self, names: Sequence[str], reference: Tensor, points: Tensor, detected: Tensor | None = None
    ) -> None:
        """Add images by name, with landmarks [N, P, 2] of original and decoded face; NaN where none were found.

        `detected` [N]: whether a face detector finds a face in the decoded image, which need not hinder landmarks from
        being placed (in a fixed box, for aligned faces). Without it no detection rate is reported.
        """
        nme = landmark_nme(reference, points.to(reference.device), self.outer_eyes)
        found = torch.full_like(nme, torch.nan) if detected is None else detected.to(nme)
        super().update(names, torch.stack([nme, found], dim=1))

    def compute(self) -> dict[str, Tensor]:
        """`landmark_nme` (0.01 is 1 %) and `detection_rate` in [0, 1], each where it is known for at least one
        image.
        """
        keys, values = self.table()
        if not len(keys):
            return {}
        means = {"landmark_nme": values[:, 0].nanmean(), "detection_rate": values[:, 1].nanmean()}
        return {name: mean for name, mean in means.items() if not mean.isnan()}
