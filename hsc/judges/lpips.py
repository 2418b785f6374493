"""LPIPS (Zhang et al., CVPR 2018), version 0.1, on AlexNet and VGG16.

Equal to the authors' `lpips` package, whose calibrated heads it reads, except that a position whose features are all
zero does not turn the gradient into NaN, and backbones are never downloaded implicitly.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from hsc.judges import backbones, weights
from hsc.judges.base import Judge

# Under the square root of a norm: far below any feature, but its gradient is finite.
_TINY = 1e-20


class LPIPS(Judge):
    """Perceptual judge `lpips.alex` or `lpips.vgg`: the distance between two images, 0 if they are identical.

    Raises NotAvailable if the backbone's weights are missing.
    """

    kind = "perceptual"

    def __init__(self, family: Literal["alex", "vgg"]) -> None:
        super().__init__()
        self.name, self.family = f"lpips.{family}", family
        self.features = backbones.alexnet() if family == "alex" else backbones.vgg16()
        self.taps = backbones.ALEXNET_TAPS if family == "alex" else backbones.VGG16_TAPS
        heads = torch.load(weights.locate(f"lpips_{family}"), map_location="cpu", weights_only=True)
        self.heads = nn.ParameterList(heads[f"lin{layer}.model.1.weight"] for layer in range(len(self.taps)))
        self.freeze()

    def describe(self, image: Tensor) -> list[Tensor]:
        """[N, 3, H, W] → unit vectors over channels [N, C, h, w] of each layer, in float32."""
        with self.precision(image):
            layers = backbones.taps(self.features, image, self.taps)
        return [_unit(features.float()) for features in layers]

    def forward(self, reference: Tensor, image: Tensor) -> Tensor:
        """Two [N, 3, H, W] of the same size → [N]."""
        return self.compare(self.describe(reference), self.describe(image))

    def compare(self, reference: list[Tensor], image: list[Tensor]) -> Tensor:
        """The outputs of `describe` for both → [N]."""
        pairs = zip(self.heads, reference, image, strict=True)
        return sum(((a - b).square() * head).sum(1).mean((1, 2)) for head, a, b in pairs)


def _unit(features: Tensor) -> Tensor:
    return features / features.square().sum(1, keepdim=True).clamp(min=_TINY).sqrt()
