"""The highest quality whose file fits a number of bytes, found in a few passes for many faces at once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

PASSES = 5  # at most; the caller may need one more to code what is found
CLOSE = 0.99  # share of the bytes allowed at which a search ends
AIM = 0.995  # share of the bytes allowed that is aimed at: a pass that misses it by a little still fits


def highest_within(
    size_of: Callable[[NDArray[np.int64]], NDArray[np.int64]], count: int, typical: NDArray[np.float64], limit: int
) -> NDArray[np.int64]:
    """The highest position of each of `count` faces whose file has at most `limit` bytes, −1 where none has.

    size_of: positions [count] → bytes of each face at its position; a pass of the entropy model. typical: bytes of a
    typical face at each position, increasing. A face takes some factor of the typical face's bytes at all qualities,
    nearly: each pass measures that factor where the last one pointed to. Sizes need not grow with every position; what
    is found always fits.
    """
    fits, exceeds = np.full(count, -1), np.full(count, len(typical))
    factor = np.ones(count)
    for last in (False,) * (PASSES - 1) + (True,):
        searching = exceeds - fits > 1
        if not searching.any():
            break
        aim = np.searchsorted(typical, AIM * limit / factor, side="right") - 1
        position = np.where(searching, aim.clip(fits + 1, exceeds - 1), fits.clip(0))
        if last:
            position[fits < 0] = 0
        sizes = size_of(position)
        fitting = sizes <= limit
        fits = np.where(searching & fitting, np.maximum(fits, position), fits)
        exceeds = np.where(searching & ~fitting, position, exceeds)
        exceeds = np.where(fitting & (sizes >= CLOSE * limit), fits + 1, exceeds)
        factor = sizes / typical[position]
    return fits
