"""Distortion terms. Each maps decoded images and their originals, [N, 3, S, S] in [-1, 1], to one number per image,
[N]. `hsc.modules.rate_distortion` combines them with the rate.

Terms hold only the name of their judge: a judge inside a training module would enlarge its checkpoints and be moved
with it.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsc.images import resize
from hsc.judges import NotAvailable, load_judge
from hsc.judges.facemesh import FaceMesh


class Loss(nn.Module):
    """One distortion term: 0 if the decoded image equals the original."""

    name: str
    needs_landmarks: ClassVar[bool] = False
    """whether it can use `landmarks` of the original, [N, 468, 2] in pixels, instead of detecting them"""
    judge: str = ""
    """the judge that this term uses; empty for arithmetic on pixels"""

    def forward(self, image: Tensor, original: Tensor, landmarks: Tensor | None = None) -> Tensor:
        raise NotImplementedError


class L2Loss(Loss):
    """`l2`: mean squared error of an image."""

    name = "l2"

    def forward(self, image: Tensor, original: Tensor, landmarks: Tensor | None = None) -> Tensor:
        return (image.float() - original.float()).square().mean((1, 2, 3))


class L1Loss(Loss):
    """`l1`: mean absolute error of an image."""

    name = "l1"

    def forward(self, image: Tensor, original: Tensor, landmarks: Tensor | None = None) -> Tensor:
        return (image.float() - original.float()).abs().mean((1, 2, 3))


class PerceptualLoss(Loss):
    """Distance by a differentiable perceptual judge, of both images resized to `size` if given."""

    def __init__(self, name: str, judge: str, size: int | None = None) -> None:
        super().__init__()
        self.name, self.judge, self.size = name, judge, size
        load_judge(judge)

    def forward(self, image: Tensor, original: Tensor, landmarks: Tensor | None = None) -> Tensor:
        size = self.size or image.shape[-1]
        return load_judge(self.judge, image.device)(resize(original, size), resize(image, size))


class LandmarkLoss(Loss):
    """`landmarks`: mean distance of facemesh points ÷ distance of the outer eye corners in the original."""

    name = "landmarks"
    needs_landmarks = True
    judge = "facemesh"

    def forward(self, image: Tensor, original: Tensor, landmarks: Tensor | None = None) -> Tensor:
        judge = load_judge(self.judge, image.device)
        if landmarks is None:
            with torch.no_grad():
                landmarks = judge(original)
        right, left = (landmarks[:, corner] for corner in FaceMesh.outer_eye_corners)
        distances = torch.linalg.vector_norm(judge(image) - landmarks, dim=-1)  # [N, 468]
        return distances.mean(1) / torch.linalg.vector_norm(right - left, dim=-1)


class IdentityLoss(Loss):
    """`identity`: 1 − cosine similarity of a differentiable recogniser's descriptors of the two images.

    The recogniser is the small student that comes with hsc, or `judge`, whose name the term then has. For your own
    recogniser, subclass this with `judge = "package.module:Class"` and name the subclass in the experiment. Raises
    NotAvailable if the recogniser is missing, or its gradients do not reach the image.
    """

    name = "identity"
    judge = "identity_student"

    def __init__(self, judge: str = "") -> None:
        super().__init__()
        if judge:
            self.name = self.judge = judge
        if not load_judge(self.judge).differentiable:
            raise NotAvailable(f"identity not available: {self.judge} is not differentiable; name a recogniser that is")

    def forward(self, image: Tensor, original: Tensor, landmarks: Tensor | None = None) -> Tensor:
        judge = load_judge(self.judge, image.device)
        with torch.no_grad():
            target = judge(original)
        return 1 - F.cosine_similarity(judge(image), target, dim=1)
