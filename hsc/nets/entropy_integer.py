"""The integer twin of the entropy transformer: the same answers on every machine, to the last bit.

Encoder and decoder must agree exactly on every mean and scale class, and floating-point networks do not: their sums
depend on batch size, threads and processor. The twin computes in integers (`hsc.nets.fixed_point`). `from_float` makes
it from a trained network once; the integers are stored with the model, and loading them computes nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hsc.nets.entropy import EntropyTransformer, Memory, rows_of_steps
from hsc.nets.entropy_export import LATENT_LIMIT, integer_state
from hsc.nets.fixed_point import (
    EXP_RANGE,
    EXP_STEPS,
    LATENT_BITS,
    IntegerLinear,
    attend,
    normalise,
    stream_limit,
)


class IntegerParameters(NamedTuple):
    """Of the symbols of a step's rows."""

    mean: Tensor  # int64 [N, rows, dim] in units of 2^-LATENT_BITS quantisation steps
    scale_class: Tensor  # int64 [N, rows, dim], a row of the frequency table


class IntegerEntropyTransformer(nn.Module):
    """`hsc.nets.entropy.EntropyTransformer` in integers, with the same steps and memory: see there for the arguments.

    Means and latents are int64 in units of 2^-LATENT_BITS: a latent is symbol · 2^LATENT_BITS + mean. Instead of a
    log-scale comes a class of the frequency table, whose `num_classes` scales are log-spaced over LOG_SCALE_RANGE.
    """

    query_rows: Tensor  # int32 [rows, width]
    quality_rows: Tensor  # int32 [qualities, width]
    exponentials: Tensor  # int32 [EXP_RANGE · EXP_STEPS]: 2^EXP_BITS · exp(−i / EXP_STEPS)

    def __init__(
        self,
        dims: Sequence[int],
        steps: Sequence[int],
        num_qualities: int,
        width: int = 128,
        depth: int = 3,
        heads: int = 4,
        num_classes: int = 64,
    ) -> None:
        super().__init__()
        self.step_rows = rows_of_steps(steps, len(dims))
        self.heads, self.num_classes, self.limit = heads, num_classes, stream_limit(width)
        self.register_buffer("query_rows", torch.zeros(len(dims), width, dtype=torch.int32))
        self.register_buffer("quality_rows", torch.zeros(num_qualities, width, dtype=torch.int32))
        self.register_buffer("exponentials", torch.zeros(EXP_RANGE * EXP_STEPS, dtype=torch.int32))
        self.embed = nn.ModuleList(IntegerLinear(len(r), dims[r[0]], width) for r in self.step_rows)
        self.blocks = nn.ModuleList(IntegerBlock(width, heads, self.limit) for _ in range(depth))
        self.out = nn.ModuleList(IntegerLinear(len(r), width, 2 * dims[r[0]]) for r in self.step_rows)
        self._prepare()

    @classmethod
    def from_float(cls, net: EntropyTransformer, num_classes: int = 64) -> "IntegerEntropyTransformer":
        """Export a trained network. Raises HscError when its weights are too large for exact arithmetic."""
        dims = [net.embed[step].shape[1] for step, rows in enumerate(net.step_rows) for _ in rows]
        steps = [len(rows) for rows in net.step_rows]
        num_qualities, width = net.quality_embedding.weight.shape
        twin = cls(dims, steps, num_qualities, width, len(net.blocks), net.heads, num_classes)
        twin.load_state_dict(integer_state(net, num_classes))
        return twin.to(net.norm.weight.device)

    def begin(self, quality: Tensor) -> Memory:
        """quality: level of each image, int64 [N] → memory of nothing yet."""
        embedded = self._quality[quality][:, None]
        nothing = embedded.new_empty(len(quality), self.heads, 0, embedded.shape[-1] // self.heads)
        return Memory(embedded, (nothing,) * len(self.blocks), (nothing,) * len(self.blocks))

    @torch.no_grad()
    def predict(self, memory: Memory, step: int) -> IntegerParameters:
        """Distribution of the rows of `step`, given the memory of all steps before it."""
        rows = self.step_rows[step]
        x = self._query[rows.start : rows.stop] + memory.quality
        for block, keys, values in zip(self.blocks, memory.keys, memory.values, strict=True):
            x, _, _ = block(x, keys, values, self._exponentials)
        mean, scale = self.out[step](normalise(x).transpose(0, 1)).transpose(0, 1).chunk(2, -1)
        scale_class = (scale * 2.0**-LATENT_BITS + 0.5).floor_().clamp_(0, self.num_classes - 1)
        return IntegerParameters(mean.long(), scale_class.long())

    @torch.no_grad()
    def observe(self, memory: Memory, step: int, latents: Tensor) -> Memory:
        """Remember the rows of `step`: latents int64 [N, rows, dim] in units of 2^-LATENT_BITS quantisation steps.

        What follows sees latents clamped to ±LATENT_LIMIT, ±1024 quantisation steps.
        """
        x = latents.clamp(-LATENT_LIMIT, LATENT_LIMIT).double()
        x = self.embed[step](x.transpose(0, 1)).transpose(0, 1).add(memory.quality).clamp_(-self.limit, self.limit)
        all_keys, all_values = [], []
        for index, (block, keys, values) in enumerate(zip(self.blocks, memory.keys, memory.values, strict=True)):
            # Of the last block only keys and values are ever read.
            only_memory = index == len(self.blocks) - 1
            x, keys, values = block(x, keys, values, self._exponentials, only_memory)
            all_keys.append(keys)
            all_values.append(values)
        return Memory(memory.quality, tuple(all_keys), tuple(all_values))

    def _prepare(self) -> None:
        self._query = self.query_rows.double()
        self._quality = self.quality_rows.double()
        self._exponentials = self.exponentials.double()

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> "IntegerEntropyTransformer":
        super()._apply(fn, recurse)
        self._prepare()
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self._prepare()


class IntegerBlock(nn.Module):
    """`hsc.nets.entropy.TransformerBlock` in integers; its norms' weights are folded into the matrices behind them."""

    def __init__(self, width: int, heads: int, limit: int) -> None:
        super().__init__()
        self.heads, self.limit = heads, limit
        self.qkv = IntegerLinear(width, 3 * width)
        self.out = IntegerLinear(width, width)
        self.up = IntegerLinear(width, 4 * width)
        self.down = IntegerLinear(4 * width, width)

    def forward(
        self, x: Tensor, keys: Tensor, values: Tensor, exponentials: Tensor, only_memory: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x [N, T, width] → x, and keys and values [N, heads, S + T, width / heads] with those of x appended.

        With `only_memory` x is returned as it came.
        """
        n, tokens, width = x.shape
        qkv = self.qkv(normalise(x).flatten(0, 1)).view(n, tokens, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        keys, values = torch.cat([keys, key], 2), torch.cat([values, value], 2)
        if only_memory:
            return x, keys, values
        attended = attend(query.flatten(0, 1), keys.flatten(0, 1), values.flatten(0, 1), exponentials)
        attended = attended.view(n, self.heads, tokens, -1).transpose(1, 2).reshape(-1, width)
        x = self.out(attended).view(n, tokens, width).add_(x).clamp_(-self.limit, self.limit)
        hidden = self.up(normalise(x).flatten(0, 1)).clamp_(min=0)
        return self.down(hidden).view(n, tokens, width).add_(x).clamp_(-self.limit, self.limit), keys, values
