"""The integer twin of the entropy transformer: bit-exact on every machine.

Encoder and decoder must agree exactly on every mean and scale class. Floating-point networks do not guarantee that:
their sums depend on batch size, threads and processor. The twin computes in integers (`hsc.nets.fixed_point`).
`from_float` exports it once from a trained network; the integers are stored with the model and loaded unchanged.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from hsc.nets.entropy import EntropyTransformer, rows_of_layers
from hsc.nets.entropy_export import LATENT_LIMIT, integer_state
from hsc.nets.fixed_point import (
    EXP_RANGE,
    EXP_STEPS,
    LATENT_BITS,
    IntegerLinear,
    Integers,
    Prepared,
    as_float64,
    attend,
    normalise,
    stream_limit,
)
from hsc.nets.levels import positions_per_level


class IntegerParameters(NamedTuple):
    """Distribution of the symbols of a layer's rows."""

    mean: Tensor  # int64 [N, rows, dim] in units of 2^-LATENT_BITS quantisation steps
    scale_class: Tensor  # int64 [N, rows, dim], a row of the frequency table


class Progress(NamedTuple):
    """State of coding: the memory of the layers before `layer`, and the distribution predicted for that layer."""

    layer: int
    expected: IntegerParameters | None  # of this layer's rows; None after the last layer
    quality: Integers  # [N, 1, width]
    keys: tuple[Integers, ...]  # one [N, heads, rows so far, width / heads] per block
    values: tuple[Integers, ...]


class IntegerEntropyTransformer(Prepared):
    """`hsc.nets.entropy.EntropyTransformer` in integers; see there for the arguments.

    Means and latents are int64 in units of 2^-LATENT_BITS: a latent is symbol · 2^LATENT_BITS + mean. The log-scale is
    replaced by a class of the frequency table, whose `num_classes` scales are log-spaced over LOG_SCALE_RANGE. One
    pass through the network both remembers a layer and predicts the next, and the first prediction is the same for all
    images of a quality: a file takes one pass fewer than it has layers.

    Qualities are positions (`hsc.nets.levels`): the embedding of a quality between two levels is interpolated linearly
    in integers.
    """

    query_rows: Tensor  # int32 [rows, width]
    quality_rows: Tensor  # int32 [qualities, width]
    exponentials: Tensor  # int32 [EXP_RANGE · EXP_STEPS]: 2^EXP_BITS · exp(−i / EXP_STEPS)
    _first: dict[int, Progress]  # state before the first layer, by position

    def __init__(
        self,
        bands: Sequence[tuple[int, int]],
        num_qualities: int,
        width: int = 128,
        depth: int = 3,
        heads: int = 4,
        num_classes: int = 64,
    ) -> None:
        super().__init__()
        self.layer_rows = rows_of_layers(bands)
        self.heads, self.num_classes, self.limit = heads, num_classes, stream_limit(width)
        self.register_buffer("query_rows", torch.zeros(sum(rows for rows, _ in bands), width, dtype=torch.int32))
        self.register_buffer("quality_rows", torch.zeros(num_qualities, width, dtype=torch.int32))
        self.register_buffer("exponentials", torch.zeros(EXP_RANGE * EXP_STEPS, dtype=torch.int32))
        self.embed = nn.ModuleList(IntegerLinear(rows, dim, width) for rows, dim in bands)
        self.blocks = nn.ModuleList(IntegerBlock(width, heads, self.limit) for _ in range(depth))
        self.out = nn.ModuleList(IntegerLinear(rows, width, 2 * dim) for rows, dim in bands)
        self._prepare()

    @classmethod
    def from_float(cls, net: EntropyTransformer, num_classes: int = 64) -> "IntegerEntropyTransformer":
        """Export a trained network. Raises HscError when its weights are too large for exact arithmetic."""
        num_qualities, width = net.quality_embedding.weight.shape
        twin = cls(net.bands, num_qualities, width, len(net.blocks), net.heads, num_classes)
        twin.load_state_dict(integer_state(net, num_classes))
        return twin

    def begin(self, position: Tensor) -> Progress:
        """position: of each image, int64 [N] → the state before the first layer, with its prediction."""
        # It depends only on the position, so it is computed once for each.
        positions, places = np.unique(position.cpu().numpy(), return_inverse=True)
        for new in positions:
            if int(new) not in self._first:
                quality = self._quality_row(int(new))
                nothing = (np.empty((1, self.heads, 0, quality.shape[-1] // self.heads)),) * len(self.blocks)
                self._first[int(new)] = self._predict(0, quality[:, :0], quality, nothing, nothing)
        layers, expected, qualities, keys, values = zip(*(self._first[int(known)] for known in positions), strict=True)
        index = torch.from_numpy(places)
        return Progress(
            layers[0],
            IntegerParameters(*(torch.cat(part)[index] for part in zip(*expected, strict=True))),
            np.concatenate(qualities)[places],
            tuple(np.concatenate(block)[places] for block in zip(*keys, strict=True)),
            tuple(np.concatenate(block)[places] for block in zip(*values, strict=True)),
        )

    def _quality_row(self, position: int) -> Integers:
        """[1, 1, width]: linear between the rows of two levels, rounded to nearest."""
        per_level = positions_per_level(len(self._quality))
        level, past = divmod(position, per_level)
        upper = min(level + 1, len(self._quality) - 1)
        mixed = (per_level - past) * self._quality[level] + past * self._quality[upper]
        return np.floor((mixed + per_level // 2) / per_level)[None, None]

    def advance(self, progress: Progress, latents: Tensor) -> Progress:
        """Remember the rows of the current layer, int64 [N, rows, dim] in units of 2^-LATENT_BITS quantisation steps.

        Later layers are predicted from latents clamped to ±LATENT_LIMIT, ±1024 quantisation steps.
        """
        layer, _, quality, keys, values = progress
        if layer + 1 == len(self.layer_rows):
            return Progress(layer + 1, None, quality, keys, values)
        x = latents.clamp(-LATENT_LIMIT, LATENT_LIMIT).cpu().numpy().astype(np.float64)
        x = self.embed[layer](x.swapaxes(0, 1)).swapaxes(0, 1) + quality
        return self._predict(layer + 1, np.clip(x, -self.limit, self.limit), quality, keys, values)

    def _predict(
        self, layer: int, known: Integers, quality: Integers, keys: tuple[Integers, ...], values: tuple[Integers, ...]
    ) -> Progress:
        """The progress at `layer`, given tokens [N, T, width] of the layer before it and the memory of earlier ones."""
        rows, count = self.layer_rows[layer], known.shape[1]
        x = np.concatenate([known, self._query[rows.start : rows.stop] + quality], 1)
        all_keys, all_values = [], []
        for index, (block, old_keys, old_values) in enumerate(zip(self.blocks, keys, values, strict=True)):
            last = index == len(self.blocks) - 1
            x, new_keys, new_values = block(x, old_keys, old_values, self._exponentials, count, last)
            # The keys and values of the queries are dropped: only known rows are remembered.
            all_keys.append(new_keys[:, :, : new_keys.shape[2] - len(rows)])
            all_values.append(new_values[:, :, : new_values.shape[2] - len(rows)])
        mean, scale = np.split(self.out[layer](normalise(x).swapaxes(0, 1)).swapaxes(0, 1), 2, -1)
        scale_class = np.floor(scale * 2.0**-LATENT_BITS + 0.5)
        np.clip(scale_class, 0, self.num_classes - 1, out=scale_class)
        expected = IntegerParameters(*(torch.from_numpy(part.astype(np.int64)) for part in (mean, scale_class)))
        return Progress(layer, expected, quality, tuple(all_keys), tuple(all_values))

    def _prepare(self) -> None:
        self._query = as_float64(self.query_rows)
        self._quality = as_float64(self.quality_rows)
        self._exponentials = as_float64(self.exponentials)
        self._first = {}


class IntegerBlock(nn.Module):
    """`hsc.nets.entropy.TransformerBlock` in integers; its norms' weights are folded into the matrices after them."""

    def __init__(self, width: int, heads: int, limit: int) -> None:
        super().__init__()
        self.heads, self.limit = heads, limit
        self.qkv = IntegerLinear(width, 3 * width)
        self.out = IntegerLinear(width, width)
        self.up = IntegerLinear(width, 4 * width)
        self.down = IntegerLinear(4 * width, width)

    def forward(
        self, x: Integers, keys: Integers, values: Integers, exponentials: Integers, known: int, last: bool
    ) -> tuple[Integers, Integers, Integers]:
        """x [N, T, width] → x, and keys and values [N, heads, S + T, width / heads] with those of x appended.

        The first `known` tokens do not attend to the others. The `last` block returns only the others, since only the
        keys and values of the known tokens are ever used.
        """
        n, tokens, width = x.shape
        qkv = self._per_token(self.qkv, normalise(x)).reshape(n, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.transpose(2, 0, 3, 1, 4)
        keys, values = np.concatenate([keys, key], 2), np.concatenate([values, value], 2)
        if last:
            x, query, known = x[:, known:], query[:, :, known:], 0
        attended = attend(query, keys, values, exponentials, known)
        merged = attended.swapaxes(1, 2).reshape(x.shape)
        x = np.clip(self._per_token(self.out, merged) + x, -self.limit, self.limit)
        hidden = self._per_token(self.up, normalise(x))
        hidden = self._per_token(self.down, np.maximum(hidden, 0, out=hidden))
        return np.clip(hidden + x, -self.limit, self.limit), keys, values

    @staticmethod
    def _per_token(linear: nn.Module, x: Integers) -> Integers:
        """`linear` on [N, T, inputs], as one matrix product."""
        return linear(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:-1], -1)
