"""A discriminator on frozen features, randomly mixed (Sauer et al., Projected GANs Converge Faster, NeurIPS 2021)."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

MIXED = (48, 64, 96, 128)  # channels of each scale, from the finest on, after mixing
HIDDEN = 96  # most channels inside a head
COARSEST = 8  # side to which heads downsample their features

Features = Callable[[Tensor], Sequence[Tensor]]


class ProjectedDiscriminator(nn.Module):
    """images [N, 3, S, S], S ≥ 64, in [-1, 1] → logits [N, many], of patches at four scales.

    ```
    images ─features─▶ four scales ─1×1─▶ ⊕ ◀─3×3, ×2─ next coarser ─▶ head of each scale ─▶ logits
    ```
    `features`: the frozen network, with `widths` channels at 1/4, 1/8, 1/16 and 1/32 of the size; it is not part of
    the module. Mixing across channels and, from coarse to fine, across scales is random and fixed: it gives the heads
    every channel of every scale, of which they would otherwise use only a few. Only the heads, which are spectrally
    normalised, are trained.
    """

    def __init__(self, features: Features, widths: Sequence[int], size: int) -> None:
        super().__init__()
        self.features = features
        for scale, (width, mixed) in enumerate(zip(widths, MIXED, strict=True)):
            self.register_buffer(f"channels{scale}", _random_kernel(width, mixed, 1))
            if scale:
                self.register_buffer(f"scales{scale - 1}", _random_kernel(mixed, MIXED[scale - 1], 3))
        self.heads = nn.ModuleList(_head(mixed, size >> (scale + 2)) for scale, mixed in enumerate(MIXED))

    def forward(self, images: Tensor) -> Tensor:
        mixed: list[Tensor] = []
        for scale, features in reversed(list(enumerate(self.features(images)))):
            x = F.conv2d(features, self.get_buffer(f"channels{scale}"))
            if mixed:
                coarser = F.conv2d(mixed[0], self.get_buffer(f"scales{scale}"), padding=1)
                coarser = F.interpolate(coarser, size=x.shape[-2:], mode="bilinear", align_corners=False)
                x = (x + coarser) / math.sqrt(2)
            mixed.insert(0, x)
        return torch.cat([head(x).flatten(1) for head, x in zip(self.heads, mixed, strict=True)], 1).float()


def _random_kernel(inputs: int, outputs: int, kernel: int) -> Tensor:
    """Preserves the variance of its input (He et al. 2015)."""
    return torch.randn(outputs, inputs, kernel, kernel) * math.sqrt(1 / (inputs * kernel**2))


def _head(channels: int, side: int) -> nn.Sequential:
    """[N, channels, side, side] → logits [N, 1, h, w], h ≤ 8."""
    width = min(channels, HIDDEN)
    layers: list[nn.Module] = [spectral_norm(nn.Conv2d(channels, width, 3, padding=1)), nn.LeakyReLU(0.2)]
    while side > COARSEST:
        layers += [spectral_norm(nn.Conv2d(width, width, 4, 2, 1)), nn.LeakyReLU(0.2)]
        side //= 2
    return nn.Sequential(
        *layers,
        spectral_norm(nn.Conv2d(width, width, 3, padding=1)),
        nn.LeakyReLU(0.2),
        spectral_norm(nn.Conv2d(width, 1, 1)),
    )
