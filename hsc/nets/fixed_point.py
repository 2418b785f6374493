"""Fixed-point arithmetic that is exact on every machine: integers held in float64.

+, −, × and floor(a / b) of integers are exact in float64 while results stay below 2^53, in whatever order a matrix
product sums; so are products with powers of two. exp, log, erf and tanh are not, nor are sums of fractions.
docs/bitstream.md ("Entropy parameters") specifies this arithmetic exactly.

Computed with NumPy on the CPU: one face has so few rows that calls into torch would take 2.5 times as long, and
transfers to an accelerator even longer. Tensors only store the integers.
"""

import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hsc.errors import HscError

Integers = NDArray[np.float64]  # integers in float64

LATENT_BITS = 10  # fraction bits of means and latents
STREAM_BITS = 11  # fraction bits of the residual stream
NORM_BITS = 18  # a normalised vector has length 2^18
HEAD_BITS = 12  # fraction bits of queries, keys, values and hidden layers
EXP_BITS = 16  # fraction bits of the table of exponentials
EXP_STEPS = 512  # entries of this table per unit of the argument
EXP_RANGE = 16  # it covers arguments below this
EXACT = 1 << 53  # integers below it are exact in float64
SQUARES = (1 << 50) - (1 << 40)  # sums of squares up to this have roots whose floor is exact: see `normalise`


class Prepared(nn.Module):
    """A module that computes on float64 copies of its buffers of integers, recomputed when those change."""

    def _prepare(self) -> None:
        raise NotImplementedError

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        # The copies are arrays, which `.float()` or `.half()` on a whole model do not reach.
        super()._apply(fn, recurse)
        self._prepare()
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        self._prepare()


class IntegerLinear(Prepared):
    """y = floor((x · weight + bias) / 2^shift), with one matrix for all tokens or one for each row.

    x [tokens, inputs], or [rows, N, inputs] if every row has its own matrix → y, the same with outputs. A state dict
    holds the integers.
    """

    weight: Tensor  # int16 [(rows,) inputs, outputs]
    bias: Tensor  # int64 [(rows,) outputs]
    shift: Tensor  # int64 []

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(shape, dtype=torch.int16))
        self.register_buffer("bias", torch.zeros(*shape[:-2], shape[-1], dtype=torch.int64))
        self.register_buffer("shift", torch.ones((), dtype=torch.int64))
        self._prepare()

    def forward(self, x: Integers) -> Integers:
        y = x @ self._matrix
        y += self._offset
        return np.floor(y, out=y)

    def _prepare(self) -> None:
        if not 0 < int(self.shift) < 64:
            raise HscError(f"malformed weights: a shift of {int(self.shift)}; export the model again")
        # Dividing by 2^shift beforehand changes exponents only: the sums stay as exact as those of the integers.
        scale = math.ldexp(1.0, -int(self.shift))
        self._matrix = as_float64(self.weight) * scale
        self._offset = as_float64(self.bias)[..., None, :] * scale


def as_float64(stored: Tensor) -> Integers:
    """A tensor of integers, on any device, as a float64 array."""
    return stored.detach().cpu().numpy().astype(np.float64)


def normalise(x: Integers) -> Integers:
    """x [..., width] → floor(2^NORM_BITS · x / floor(√(Σx² + ε))): x scaled to length 2^NORM_BITS.

    The ½ under the root keeps its argument half a unit away from every square. Below 2^50 that puts the root at least
    two units in the last place away from every integer: its floor is right even if the root is not rounded correctly.
    """
    length = np.einsum("...i,...i->...", x, x)[..., None]
    length += epsilon(x.shape[-1]) + 0.5
    np.floor(np.sqrt(length, out=length), out=length)
    length *= 2.0**-NORM_BITS
    y = x / length
    return np.floor(y, out=y)


def epsilon(width: int) -> int:
    """The ε that `normalise` adds to a sum of `width` squares: 10^-6 each, as the float norm adds to their mean."""
    return (width * 4**STREAM_BITS + 500_000) // 1_000_000


def stream_limit(width: int) -> int:
    """The residual stream is clamped to ± this, so that the squares of `width` numbers and ε sum to at most SQUARES."""
    return math.isqrt((SQUARES - epsilon(width)) // width)


def attend(query: Integers, keys: Integers, values: Integers, exponentials: Integers, blind: int = 0) -> Integers:
    """Softmax attention of [..., T, d] over [..., S, d], rounded down; 1 / √d is in the queries already.

    The last T keys and values are the queries' own tokens. The first `blind` queries do not attend to the others'.
    """
    negated = query @ np.swapaxes(keys, -1, -2)  # [..., T, S]
    negated *= -EXP_STEPS * 2.0 ** -(2 * HEAD_BITS)
    hidden = (..., slice(blind), slice(keys.shape[-2] - query.shape[-2] + blind, None))
    if blind:
        negated[hidden] = np.inf
    negated -= negated.min(-1, keepdims=True)
    np.minimum(negated, len(exponentials) - 1, out=negated)
    weights = exponentials[negated.astype(np.int64)]
    if blind:
        weights[hidden] = 0
    attended = weights @ values
    attended /= weights.sum(-1, keepdims=True)
    return np.floor(attended, out=attended)
