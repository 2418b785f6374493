"""The layer-wise scalable entropy transformer: the distribution of a layer's symbols, given the layers before it.

All rows of a layer are coded at once, so decoding takes one call per layer. A layer has *query* tokens, one per row,
which attend to the *value* tokens of all rows of the layers before:

```
values  v₀ v₁ v₂ │ v₃ v₄ v₅ v₆ │ v₇ v₈ v₉          vᵢ = embed(ŷᵢ) + row + quality
           ▲            ▲            ▲
queries    └────────── q₃ … q₆ ──────┘ q₇ …         qᵢ = row + quality   →  mean, log-scale of row i
```

Symbols are residuals about the predicted mean, so "not sent" and "all symbols zero" are equivalent: a missing layer is
decoded as its conditional mean, given the layers that were sent. This module is the float network that is trained;
files are coded by its integer twin (`hsc.nets.entropy_integer`), exported from it.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsc.nets.levels import at_quality

LOG_SCALE_RANGE = (math.log(0.08), math.log(32.0))
EPSILON = 1e-6  # added by the norms to the mean of squares


class Parameters(NamedTuple):
    """Distribution of the symbols of a layer's rows, in quantisation steps."""

    mean: Tensor  # [N, rows, dim]
    log_scale: Tensor  # [N, rows, dim] natural logarithm of the standard deviation, clamped to LOG_SCALE_RANGE


class Memory(NamedTuple):
    """State during coding: the quality's embedding and every block's keys and values of the rows coded so far."""

    quality: Tensor  # [N, 1, width]
    keys: tuple[Tensor, ...]  # one [N, heads, rows so far, width / heads] per block
    values: tuple[Tensor, ...]


class EntropyTransformer(nn.Module):
    """`bands`: (rows, dim) of each layer, in coding order. `num_qualities`: the number of quality levels.

    Parameters grow as 12·depth·width².
    """

    def __init__(
        self, bands: Sequence[tuple[int, int]], num_qualities: int, width: int = 128, depth: int = 3, heads: int = 4
    ) -> None:
        super().__init__()
        self.bands = tuple(bands)
        self.layer_rows = rows_of_layers(bands)
        self.heads = heads
        self.quality_embedding = nn.Embedding(num_qualities, width)
        num_rows = sum(rows for rows, _ in bands)
        self.query_rows = nn.Parameter(torch.randn(num_rows, width) * 0.5)
        self.value_rows = nn.Parameter(torch.randn(num_rows, width) * 0.5)
        # One matrix per row, batched by layer: rows of the same layer carry different information.
        self.embed = nn.ParameterList(
            nn.Parameter(torch.randn(rows, dim, width) / math.sqrt(dim)) for rows, dim in bands
        )
        self.blocks = nn.ModuleList(TransformerBlock(width, heads) for _ in range(depth))
        self.norm = nn.RMSNorm(width, EPSILON)
        self.mean_out = nn.ParameterList(self._output(rows, dim, width) for rows, dim in bands)
        self.scale_out = nn.ParameterList(self._output(rows, dim, width) for rows, dim in bands)
        self.mean_bias = nn.ParameterList(nn.Parameter(torch.zeros(rows, dim)) for rows, dim in bands)
        self.scale_bias = nn.ParameterList(nn.Parameter(torch.zeros(rows, dim)) for rows, dim in bands)

    @staticmethod
    def _output(rows: int, dim: int, width: int) -> nn.Parameter:
        return nn.Parameter(torch.randn(rows, width, dim) * 0.1 / math.sqrt(width))

    def begin(self, quality: Tensor) -> Memory:
        """quality: level of each image, possibly between two levels, [N] → empty memory."""
        embedded = at_quality(self.quality_embedding.weight, quality)[:, None]
        nothing = embedded.new_empty(len(quality), self.heads, 0, embedded.shape[-1] // self.heads)
        return Memory(embedded, (nothing,) * len(self.blocks), (nothing,) * len(self.blocks))

    def predict(self, memory: Memory, layer: int) -> Parameters:
        """Distribution of the rows of `layer`, given the memory of all layers before it."""
        rows = self.layer_rows[layer]
        x = self.query_rows[rows.start : rows.stop] + memory.quality
        for block, keys, values in zip(self.blocks, memory.keys, memory.values, strict=True):
            x, _, _ = block(x, keys, values)
        x = self.norm(x).transpose(0, 1)  # [rows, N, width]
        mean = torch.baddbmm(self.mean_bias[layer][:, None], x, self.mean_out[layer]).transpose(0, 1)
        log_scale = torch.baddbmm(self.scale_bias[layer][:, None], x, self.scale_out[layer]).transpose(0, 1)
        return Parameters(mean, log_scale.clamp(*LOG_SCALE_RANGE))

    def observe(self, memory: Memory, layer: int, latents: Tensor) -> Memory:
        """Remember the rows of `layer`: quantised latents [N, rows, dim] in quantisation steps."""
        rows = self.layer_rows[layer]
        x = torch.bmm(latents.transpose(0, 1), self.embed[layer]).transpose(0, 1)
        x = x + self.value_rows[rows.start : rows.stop] + memory.quality
        all_keys, all_values = [], []
        for block, keys, values in zip(self.blocks, memory.keys, memory.values, strict=True):
            x, keys, values = block(x, keys, values)
            all_keys.append(keys)
            all_values.append(values)
        return Memory(memory.quality, tuple(all_keys), tuple(all_values))


def rows_of_layers(bands: Sequence[tuple[int, int]]) -> list[range]:
    """The indices of each layer's rows among all rows."""
    ends = itertools.accumulate(rows for rows, _ in bands)
    return [range(end - rows, end) for end, (rows, _) in zip(ends, bands, strict=True)]


class TransformerBlock(nn.Module):
    """Pre-norm attention over memory and the tokens themselves, then a ReLU network: both can be exact in integers."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm0 = nn.RMSNorm(width, EPSILON)  # no mean to subtract: all but a root folds into the next matrix
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.norm1 = nn.RMSNorm(width, EPSILON)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        with torch.no_grad():
            self.out.weight.mul_(0.3)
            self.down.weight.mul_(0.3)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x [N, T, width] → x, and keys and values [N, heads, S + T, width / heads] with those of x appended."""
        n, tokens, width = x.shape
        qkv = self.qkv(self.norm0(x)).view(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        keys, values = torch.cat([keys, key], 2), torch.cat([values, value], 2)
        attended = F.scaled_dot_product_attention(query, keys, values)
        x = x + self.out(attended.transpose(1, 2).reshape(n, tokens, width))
        x = x + self.down(F.relu(self.up(self.norm1(x))))
        return x, keys, values
