"""Qualities between the trained levels.

A file stores its quality in one byte, the *position*: from one trained level to the next there are
`positions_per_level(levels)` positions, and every trained level has a position of its own.
"""

import torch
from torch import Tensor

LARGEST_POSITION = 255


def positions_per_level(levels: int) -> int:
    """Positions from one of `levels` trained levels to the next: as many as fit in one byte."""
    return LARGEST_POSITION // max(levels - 1, 1)


def at_quality(table: Tensor, quality: Tensor) -> Tensor:
    """Rows of `table` [levels, ...] at qualities [N], interpolated linearly between levels: [N, ...].

    Integers are levels, for which the result is the level's row, bit for bit; fractions lie between levels.
    """
    if not quality.is_floating_point():
        return table[quality]
    below = quality.floor()
    lower = below.long()
    upper = (lower + 1).clamp(max=len(table) - 1)
    share = (quality - below).to(table.dtype).view(-1, *[1] * (table.ndim - 1))
    return torch.lerp(table[lower], table[upper], share)
