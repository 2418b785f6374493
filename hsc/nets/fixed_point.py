"""Fixed-point arithmetic that is exact on every machine: integers held in float64.

+, −, × and floor(a / b) of integers are exact in float64 while results stay below 2^53, in whatever order a matrix
product adds; so are products with powers of two. exp, log, erf and tanh are not, nor are sums of fractions.
docs/bitstream.md ("Entropy parameters") specifies what is here to the bit.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from hsc.errors import HscError

LATENT_BITS = 10  # fraction bits of means and latents
STREAM_BITS = 11  # fraction bits of the residual stream
NORM_BITS = 18  # a normalised vector has length 2^18
HEAD_BITS = 12  # fraction bits of queries, keys, values and hidden layers
EXP_BITS = 16  # fraction bits of the table of exponentials
EXP_STEPS = 512  # its entries per unit of the argument
EXP_RANGE = 16  # where it ends
EXACT = 1 << 53  # integers below it are exact in float64
SQUARES = (1 << 50) - (1 << 40)  # sums of squares up to it have roots whose floor is exact: see `normalise`


class IntegerLinear(nn.Module):
    """y = floor((x · weight + bias) / 2^shift), with one matrix for all tokens or one for each row.

    x [tokens, inputs], or [rows, N, inputs] where every row has its matrix → y, the same with outputs; all of them
    integers in float64. The integers are what a state dict holds.
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

    def forward(self, x: Tensor) -> Tensor:
        multiply = torch.addmm if x.ndim == 2 else torch.baddbmm
        return multiply(self._offset, x, self._matrix).floor_()

    def _prepare(self) -> None:
        # Dividing by 2^shift beforehand changes exponents only: the sums stay as exact as those of the integers.
        scale = math.ldexp(1.0, -int(self.shift))
        self._matrix = self.weight.double() * scale
        self._offset = (self.bias.double() * scale).unsqueeze(-2)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> "IntegerLinear":
        # The float64 copies are no buffers, lest `.float()` or `.half()` on a whole model reach them.
        super()._apply(fn, recurse)
        self._prepare()
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        if not 0 < int(self.shift) < 64:
            raise HscError(f"malformed weights: {prefix}shift is {int(self.shift)}; export the model again")
        self._prepare()


def normalise(x: Tensor) -> Tensor:
    """x [..., width] → floor(2^NORM_BITS · x / floor(√(Σx² + ε))): x scaled to length 2^NORM_BITS.

    The ½ under the root keeps its argument half a unit away from every square. Below 2^50 that puts the root at least
    two units in the last place away from every integer: its floor is right even if the root is not rounded well.
    """
    length = (x * x).sum(-1, keepdim=True).add_(epsilon(x.shape[-1]) + 0.5).sqrt_().floor_()
    return (x / length.mul_(2.0**-NORM_BITS)).floor_()


def epsilon(width: int) -> int:
    """What `normalise` adds to a sum of `width` squares: 10^-6 each, as the float network's norm adds to their mean."""
    return (width * 4**STREAM_BITS + 500_000) // 1_000_000


def stream_limit(width: int) -> int:
    """The residual stream is clamped to ± this, so that the squares of `width` numbers and ε sum to at most SQUARES."""
    return math.isqrt((SQUARES - epsilon(width)) // width)


def attend(query: Tensor, keys: Tensor, values: Tensor, exponentials: Tensor) -> Tensor:
    """Softmax attention of [B, T, d] over [B, S, d], rounded down; 1 / √d is in the queries already."""
    unit = EXP_STEPS * 2.0 ** -(2 * HEAD_BITS)
    negated = torch.baddbmm(query.new_empty(()), query, keys.transpose(1, 2), beta=0, alpha=-unit)
    below_best = negated.sub_(negated.amin(-1, keepdim=True)).clamp_(max=exponentials.numel() - 1)
    weights = exponentials[below_best.long()]
    return torch.bmm(weights, values).div_(weights.sum(-1, keepdim=True)).floor_()
