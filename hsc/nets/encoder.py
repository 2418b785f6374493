"""The pyramid encoder: image → latents of every layer, coarse layers from coarse features (like pSp's pyramid)."""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsc.nets.eigenfaces import GRID, EigenAnalysis
from hsc.nets.layers import he_conv


class PyramidEncoder(nn.Module):
    """images [N, 3, size, size] → latents, one [N, rows, dim] per layer.

    ```
    size ─▶ … ─▶ 16² ─▶ 8² ─▶ 4²        strided residual stages (bottom-up)
                  ▲      ▲     ▲
    tap 2 ◀─────── + ◀── + ◀───┘         top-down pathway; layer k reads the map of side (size/16)·2^k
    ```
    `channels`: per resolution, from `size` down to 4². `bands`: (rows, dim) of each layer. `picture`: side of the
    linear path's picture, whose components are added to the latents; 0 if there is no linear path. `blocks`: its
    components of each block, to which the network adds nothing.
    """

    def __init__(
        self,
        size: int,
        channels: Sequence[int],
        bands: Sequence[tuple[int, int]],
        pyramid_channels: int = 128,
        picture: int = 0,
        blocks: int = 0,
    ) -> None:
        super().__init__()
        self.stem = he_conv(3, channels[0])
        self.stages = nn.ModuleList(DownStage(inputs, outputs) for inputs, outputs in itertools.pairwise(channels))
        sides = [size // 2 ** (i + 1) for i in range(len(self.stages))]
        self.taps = [min(max(size // 16, 4) * 2**k, sides[0]) for k in range(len(bands))]
        finest = max(self.taps)
        self.sides = sides
        self.laterals = nn.ModuleDict(
            {str(s): nn.Conv2d(c, pyramid_channels, 1) for s, c in zip(sides, channels[1:], strict=True) if s <= finest}
        )
        of_blocks = [0] * (len(bands) - 1) + [GRID**2 * blocks]
        self.heads = nn.ModuleList(
            LatentHead(pyramid_channels, tap, rows, dim, linear)
            for tap, (rows, dim), linear in zip(self.taps, bands, of_blocks, strict=True)
        )
        self.eigen = EigenAnalysis(picture, bands, blocks) if picture else None

    def forward(self, images: Tensor) -> list[Tensor]:
        features: dict[int, Tensor] = {}
        x = self.stem(images)
        for side, stage in zip(self.sides, self.stages, strict=True):
            features[side] = x = stage(x)
        pyramid: dict[int, Tensor] = {}
        above: Tensor | None = None
        for side in sorted(int(key) for key in self.laterals):
            lateral = self.laterals[str(side)](features[side])
            above = lateral if above is None else lateral + F.interpolate(above, scale_factor=2, mode="nearest")
            pyramid[side] = above
        latents = [head(pyramid[tap]) for head, tap in zip(self.heads, self.taps, strict=True)]
        if self.eigen is None:
            return latents
        return [linear + refined for linear, refined in zip(self.eigen(images), latents, strict=True)]


class DownStage(nn.Module):
    """Halves the resolution, then applies one pre-normalised residual block."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.down = he_conv(inputs, outputs, stride=2)
        self.norm = nn.GroupNorm(8, outputs)
        self.conv0 = he_conv(outputs, outputs)
        self.conv1 = he_conv(outputs, outputs)
        nn.init.zeros_(self.conv1.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.down(x), 0.2)
        return x + self.conv1(F.leaky_relu(self.conv0(self.norm(x)), 0.2))


class LatentHead(nn.Module):
    """A pyramid map → strided convolutions to 4² → normalised → one row of `dim` numbers per style of the layer.

    The last `zeros` of these numbers are zero.
    """

    def __init__(self, channels: int, side: int, rows: int, dim: int, zeros: int = 0) -> None:
        super().__init__()
        self.rows, self.dim, self.zeros = rows, dim, zeros
        steps = []
        while side > 4:
            steps += [he_conv(channels, channels, stride=2), nn.LeakyReLU(0.2)]
            side //= 2
        narrow = channels // 2
        self.convs = nn.Sequential(*steps, he_conv(channels, narrow), nn.LeakyReLU(0.2))
        self.norm = nn.GroupNorm(8, narrow)
        self.linear = nn.Linear(narrow * side**2, rows * dim - zeros)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.convs(x))
        return F.pad(self.linear(torch.flatten(x, 1)), (0, self.zeros)).view(-1, self.rows, self.dim)
