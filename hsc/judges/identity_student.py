"""A small recogniser for training: distilled from `faceres` by experiments/distil_identity.py, with weights that come
with hsc (assets/judges/identity.md)."""

from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from hsc.judges.aligned import crop, in_pixels
from hsc.judges.base import Judge
from hsc.judges.faceres import FACE_BOX

WEIGHTS = Path(__file__).parent.parent / "assets" / "judges" / "identity.safetensors"
DIMENSIONS = 128
INPUT_SIZE = 64

_WIDTHS = (32, 64, 128, 160)  # at 32², 16², 8², 4²


class Unit(nn.Sequential):
    """3×3 convolution, batch normalisation during training, leaky ReLU."""

    def __init__(self, in_channels: int, channels: int, stride: int, norm: bool) -> None:
        layers: list[nn.Module] = [nn.Conv2d(in_channels, channels, 3, stride, 1, bias=not norm)]
        super().__init__(*layers, *([nn.BatchNorm2d(channels)] if norm else []), nn.LeakyReLU(0.1))


class _Stage(nn.Module):
    """Halve the resolution, then refine with a residual block of two units."""

    def __init__(self, in_channels: int, channels: int, norm: bool) -> None:
        super().__init__()
        self.down = Unit(in_channels, channels, 2, norm)
        self.first = Unit(channels, channels, 1, norm)
        self.second = Unit(channels, channels, 1, norm)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        return x + self.second(self.first(x))


class IdentityNet(nn.Module):
    """[N, 3, 64, 64] in [-1, 1] → [N, 128]. `norm`: with the batch normalisation that training needs."""

    def __init__(self, norm: bool = False) -> None:
        super().__init__()
        self.stem = Unit(3, _WIDTHS[0], 2, norm)
        self.stages = nn.Sequential(*(_Stage(i, o, norm) for i, o in pairwise(_WIDTHS)))
        # Each position of an aligned face has its own weights, whereas average pooling would discard positions.
        self.gather = nn.Conv2d(_WIDTHS[-1], _WIDTHS[-1], 4, groups=_WIDTHS[-1])
        self.head = nn.Linear(_WIDTHS[-1], DIMENSIONS)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.gather(self.stages(self.stem(x))).flatten(1))


def face_of(image: Tensor) -> Tensor:
    """[N, 3, S, S] with FFHQ's alignment → the network's input [N, 3, 64, 64]: the same square as its teacher's."""
    return crop(image, in_pixels(FACE_BOX, image), INPUT_SIZE).contiguous(memory_format=torch.channels_last)


class IdentityStudent(Judge):
    """Recogniser `identity_student`: 128-d unit vectors, differentiable and cheap enough for every training step.

    It belongs to the family of `faceres`, so neither evaluates a codec trained with the other. Missing weights mean a
    broken installation and raise FileNotFoundError.
    """

    name = "identity_student"
    family = "faceres"
    kind = "recogniser"
    threshold = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.net = IdentityNet()
        self.net.load_state_dict(load_file(WEIGHTS))
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.freeze()

    def forward(self, image: Tensor) -> Tensor:
        """[N, 3, S, S] in [-1, 1] → [N, 128]."""
        with self.precision(image):
            return F.normalize(self.net(face_of(image)).float())
