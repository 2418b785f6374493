"""Decoder heads: latents of the layers → rows of W+."""

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsc.nets.generator import Generator
from hsc.nets.levels import at_quality


class Heads(nn.Module):
    """Interface of the decoder's heads: `StyleHeads` or, with a linear path, `hsc.nets.picture_heads.PictureHeads`."""

    def forward(self, latents: Sequence[Tensor], quality: Tensor) -> Tensor:
        """latents (one [N, rows, dim] per layer, decoded or filled) and quality [N] → [N, rows, w_dim], to be added to
        the generator's mean style. Qualities are levels, or lie between two.
        """
        raise NotImplementedError

    def draw(
        self, generator: Generator, latents: Sequence[Tensor], quality: Tensor, full: bool = False
    ) -> tuple[Tensor, Tensor]:
        """W+ [N, rows, w_dim] from latents and quality [N], and the images generated from it: [N, 3, size, size], or at
        the generator's full size.
        """
        raise NotImplementedError


class StyleHeads(Heads):
    """latents → rows of W+ of each layer.

    Layer k's rows depend on the latents of layers ≤ k only, so a later layer never changes the rows of an earlier one.
    """

    def __init__(self, bands: Sequence[tuple[int, int]], w_dim: int, num_qualities: int, hidden: int = 384) -> None:
        super().__init__()
        known = itertools.accumulate(rows * dim for rows, dim in bands)
        self.nets = nn.ModuleList(
            LayerHead(rows * dim, numbers, rows, w_dim, num_qualities, hidden)
            for (rows, dim), numbers in zip(bands, known, strict=True)
        )

    def forward(self, latents: Sequence[Tensor], quality: Tensor) -> Tensor:
        flat = [layer.flatten(1) for layer in latents]
        rows = [net(flat[k], torch.cat(flat[: k + 1], 1), quality) for k, net in enumerate(self.nets)]
        return torch.cat(rows, 1)

    def draw(
        self, generator: Generator, latents: Sequence[Tensor], quality: Tensor, full: bool = False
    ) -> tuple[Tensor, Tensor]:
        styles = styles_of(self, generator, latents, quality)
        return styles, generator.synthesis(styles, full=full)


def decode(
    heads: Heads, generator: Generator, latents: Sequence[Tensor], quality: Tensor, full: bool = False
) -> Tensor:
    """latents (one [N, rows, dim] per layer) and quality [N] → images [N, 3, size, size], or at the generator's full
    size.
    """
    return heads.draw(generator, latents, quality, full)[1]


def styles_of(heads: Heads, generator: Generator, latents: Sequence[Tensor], quality: Tensor) -> Tensor:
    """W+ [N, rows, w_dim]: the generator's mean style plus the heads' output."""
    return generator.mean_w + heads(latents, quality)


class LayerHead(nn.Module):
    """A linear map of the layer's own latents, in parallel with a small network of all latents so far."""

    def __init__(self, own: int, known: int, rows: int, w_dim: int, num_qualities: int, hidden: int) -> None:
        super().__init__()
        self.rows = rows
        self.linear = nn.Linear(own, rows * w_dim)
        self.up = nn.Linear(known, hidden)
        self.quality = nn.Embedding(num_qualities, hidden)
        self.down = nn.Linear(hidden, rows * w_dim)
        nn.init.zeros_(self.quality.weight)
        nn.init.zeros_(self.down.weight)

    def forward(self, own: Tensor, known: Tensor, quality: Tensor) -> Tensor:
        """own [N, own numbers], known [N, numbers of all layers up to this one], quality [N] → [N, rows, w_dim]."""
        hidden = F.leaky_relu(self.up(known) + at_quality(self.quality.weight, quality), 0.2)
        return (self.linear(own) + self.down(hidden)).view(len(own), self.rows, -1)
