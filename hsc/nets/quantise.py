"""Quantisation of latents and back: gains, rounding about the predicted mean, and the cost of symbols in bits."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from hsc.nets.levels import at_quality

BIT = 0.1  # squared error (steps²) accepted per bit saved: ln 2 / 6 for fine steps (Gish and Pierce 1968), rounded down
RARE_BITS = 24.0  # cost of the table's smallest frequency, 2⁻²⁴


class Gain(nn.Module):
    """Quantisation steps per unit of latent, for each quality and each latent of each row: learned, positive.

    Its logarithm is interpolated linearly between levels. It starts from the rate's weight λ: distortion falls as
    1/gain², so a level starts at gain ∝ λ^-½.
    """

    def __init__(self, lambdas: Sequence[float], dims: Sequence[int], reference: float = 1.0) -> None:
        super().__init__()
        start = -0.5 * torch.tensor(lambdas, dtype=torch.float32).log()
        start = start - start.mean() + math.log(reference)
        self.log = nn.ParameterList(nn.Parameter(start[:, None].repeat(1, dim)) for dim in dims)

    def rows(self, quality: Tensor, rows: range) -> Tensor:
        """[N, rows, dim] for images of the given qualities [N], integer or not; the rows must have equal dims."""
        return torch.stack([at_quality(self.log[row], quality) for row in rows], 1).exp()


def gaussian_bits(residual: Tensor, log_scale: Tensor) -> Tensor:
    """−log2 of the probability of the unit interval around `residual` under N(0, exp(log_scale)²), elementwise.

    At most RARE_BITS, as in the coder's table. Above that the gradient is that of the logarithm of the exact cost:
    clamping would leave rare symbols without a gradient to bring them back, and the gradient of the exact cost would
    dominate all others.
    """
    inverse = (-log_scale).exp()
    # By symmetry both ends are taken in the lower tail; logarithms keep their precision and gradient there.
    distance = residual.abs()
    upper = torch.special.log_ndtr((0.5 - distance) * inverse)
    lower = torch.special.log_ndtr((-0.5 - distance) * inverse)
    bits = -(upper + (-torch.expm1(lower - upper)).log()) / math.log(2)
    pull = RARE_BITS * bits.clamp_min(RARE_BITS).log()
    return torch.where(bits > RARE_BITS, RARE_BITS + pull - pull.detach(), bits)


def economical_round(residual: Tensor, bits: Callable[[Tensor], Tensor]) -> Tensor:
    """Round `residual` to the nearest integer, or to the next one towards zero if its rate–distortion cost is lower.

    Symbols nearer to zero are cheaper; the cost error² + BIT · bits(symbol) is minimised for each symbol alone (the
    "rate–distortion optimised quantisation" of video encoders). It is transparent to the decoder.
    """
    nearest = residual.round()
    before = nearest - nearest.sign()
    saved, spoilt = bits(nearest) - bits(before), (residual - before).square() - (residual - nearest).square()
    return torch.where(BIT * saved > spoilt, before, nearest)


def straight_through(values: Tensor, x: Tensor) -> Tensor:
    """`values`, with the gradient of x."""
    return x + (values - x).detach()
