"""Decoder heads: latents of the layers → rows of W+, and a picture where the model has a linear path."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsc.nets.eigenfaces import EigenSynthesis
from hsc.nets.generator import Generator
from hsc.nets.levels import at_quality


class Heads(nn.Module):
    """What a decoder asks of its heads; `StyleHeads` and `hsc.nets.picture_heads.PictureHeads` are the two there are.

    eigen: what draws the linear path's picture; None where the model has no such path.
    """

    eigen: EigenSynthesis | None

    def forward(self, latents: Sequence[Tensor], quality: Tensor) -> Tensor:
        """latents (one [N, rows, dim] a layer, decoded or filled) and quality [N] → [N, rows, w_dim], to be added to
        the generator's mean style. Qualities are levels, or lie between two.
        """
        raise NotImplementedError

    def picture(self, latents: Sequence[Tensor]) -> Tensor | None:
        """The linear path's picture [N, 3, side, side]; None where the model has no such path."""
        return None if self.eigen is None else self.eigen(latents)

    def draw(
        self, generator: Generator, latents: Sequence[Tensor], quality: Tensor, styles: Tensor, full: bool = False
    ) -> Tensor:
        """Images [N, 3, size, size], or of the generator's full size, of latents, quality [N] and the W+
        [N, rows, w_dim] that they have.
        """
        raise NotImplementedError


class StyleHeads(Heads):
    """latents → rows of W+ of each layer.

    Layer k's rows depend on the latents of layers ≤ k only, so that what a later layer adds never moves an earlier
    layer's rows. `rows_of_grid`: rows of W+ of a last layer whose latents lie on a grid, which styles know by their
    mean; 0 where it has none.
    """

    def __init__(
        self,
        bands: Sequence[tuple[int, int]],
        w_dim: int,
        num_qualities: int,
        hidden: int = 384,
        eigen: EigenSynthesis | None = None,
        rows_of_grid: int = 0,
    ) -> None:
        super().__init__()
        self.has_grid = rows_of_grid > 0
        rows, sizes = [rows for rows, _ in bands], [rows * dim for rows, dim in bands]
        if self.has_grid:
            rows[-1], sizes[-1] = rows_of_grid, bands[-1][1]
        self.nets = nn.ModuleList(
            LayerHead(sizes[k], sum(sizes[: k + 1]), rows[k], w_dim, num_qualities, hidden) for k in range(len(bands))
        )
        self.eigen = eigen

    def forward(self, latents: Sequence[Tensor], quality: Tensor) -> Tensor:
        flat = [layer.flatten(1) for layer in latents]
        if self.has_grid:
            flat[-1] = latents[-1].mean(1)
        rows = [net(flat[k], torch.cat(flat[: k + 1], 1), quality) for k, net in enumerate(self.nets)]
        return torch.cat(rows, 1)

    def draw(
        self, generator: Generator, latents: Sequence[Tensor], quality: Tensor, styles: Tensor, full: bool = False
    ) -> Tensor:
        return generator.synthesis(styles, self.picture(latents), full=full)


def decode(
    heads: Heads, generator: Generator, latents: Sequence[Tensor], quality: Tensor, full: bool = False
) -> Tensor:
    """latents (one [N, rows, dim] a layer) and quality [N] → images [N, 3, size, size], or of the generator's full
    size.
    """
    return heads.draw(generator, latents, quality, styles_of(heads, generator, latents, quality), full)


def styles_of(heads: Heads, generator: Generator, latents: Sequence[Tensor], quality: Tensor) -> Tensor:
    """W+ [N, rows, w_dim]: the generator's mean style plus what the heads make of the latents."""
    return generator.mean_w + heads(latents, quality)


class LayerHead(nn.Module):
    """A linear path from the layer's own latents, and beside it a small network from all latents so far."""

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
