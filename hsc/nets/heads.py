"""Decoder heads: latents of the layers → rows of W+."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class StyleHeads(nn.Module):
    """latents (one [N, rows, dim] a layer, decoded or filled) and quality [N] → [N, all rows, w_dim], to be added to
    the generator's mean style.

    Layer k's rows depend on the latents of layers ≤ k only, so that what a later layer adds never moves an earlier
    layer's rows.
    """

    def __init__(self, bands: Sequence[tuple[int, int]], w_dim: int, num_qualities: int, hidden: int = 384) -> None:
        super().__init__()
        sizes = [rows * dim for rows, dim in bands]
        self.nets = nn.ModuleList(
            LayerHead(sizes[k], sum(sizes[: k + 1]), rows, w_dim, num_qualities, hidden)
            for k, (rows, _) in enumerate(bands)
        )

    def forward(self, latents: Sequence[Tensor], quality: Tensor) -> Tensor:
        flat = [layer.flatten(1) for layer in latents]
        rows = [net(flat[k], torch.cat(flat[: k + 1], 1), quality) for k, net in enumerate(self.nets)]
        return torch.cat(rows, 1)


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
        hidden = F.leaky_relu(self.up(known) + self.quality(quality), 0.2)
        return (self.linear(own) + self.down(hidden)).view(len(own), self.rows, -1)
