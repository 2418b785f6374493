"""Decoder heads: latents of the layers → rows of W+."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class StyleHeads(nn.Module):
    """latents (one [N, rows, dim] a layer, decoded or filled) and quality [N] → W+ [N, all rows, w_dim].

    Layer k's rows depend on the latents of layers ≤ k only, so that what a later layer adds never moves an earlier layer's rows.
    """

    def __init__(self, bands: Sequence[tuple[int, int]], w_dim: int, num_qualities: int, hidden: int = 384) -> None:
        super().__init__()
        sizes = [rows * dim for rows, dim in bands]
        self.nets = nn.ModuleList(
            LayerHead(sum(sizes[: k + 1]), rows, w_dim, num_qualities, hidden) for k, (rows, _) in enumerate(bands)
        )
        self.register_buffer("mean_w", torch.zeros(w_dim))
        self.mean_w: Tensor

    def forward(self, latents: Sequence[Tensor], quality: Tensor) -> Tensor:
        flat = [layer.flatten(1) for layer in latents]
        rows = [net(torch.cat(flat[: k + 1], 1), quality) for k, net in enumerate(self.nets)]
        return self.mean_w + torch.cat(rows, 1)


class LayerHead(nn.Module):
    """A linear path, and a small network beside it, from all latents so far to the layer's rows of styles."""

    def __init__(self, inputs: int, rows: int, w_dim: int, num_qualities: int, hidden: int) -> None:
        super().__init__()
        self.rows = rows
        self.linear = nn.Linear(inputs, rows * w_dim)
        self.quality = nn.Embedding(num_qualities, hidden)
        self.up = nn.Linear(inputs, hidden)
        self.down = nn.Linear(hidden, rows * w_dim)
        nn.init.zeros_(self.quality.weight)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: Tensor, quality: Tensor) -> Tensor:
        hidden = torch.nn.functional.leaky_relu(self.up(x) + self.quality(quality), 0.2)
        return (self.linear(x) + self.down(hidden)).view(len(x), self.rows, -1)
