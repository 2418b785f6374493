"""Qualities between the trained levels.

A file says its quality in one byte, the *position*: `positions_per_level(levels)` positions lie from one trained level
to the next, and every trained level is a position of its own.
"""

import torch
from torch import Tensor

LARGEST_POSITION = 255


def positions_per_level(levels: int) -> int:
    """Positions from one of `levels` trained levels to the next: the most that one byte can number."""
    return LARGEST_POSITION // max(levels - 1, 1)


def at_quality(table: Tensor, quality: Tensor) -> Tensor:
    """Rows of `table` [levels, ...] at qualities [N], linear between two levels: [N, ...].

    Integers are levels. Fractions lie between; at a whole number the result is the level's row, bit for bit.
    """
    if not quality.is_floating_point():
        return table[quality]
    below = quality.floor()
    lower = below.long()
    upper = (lower + 1).clamp(max=len(table) - 1)
    share = (quality - below).to(table.dtype).view(-1, *[1] * (table.ndim - 1))
    return torch.lerp(table[lower], table[upper], share)
