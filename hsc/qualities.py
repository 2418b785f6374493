"""The qualities of a codec: trained levels and those between them, the usual size of their files, and the highest
quality whose file fits a number of bytes, found in a few passes for many faces at once."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hsc.coding.container import Header
from hsc.errors import HscError
from hsc.nets.levels import positions_per_level

BYTES_AIMED_AT = 100  # target size of the default quality
GROWTH = 1.5  # of the bytes from level to level, if they have not been measured
PASSES = 5  # of a search, at most; the caller may need one more to code the result
CLOSE = 0.99  # share of the bytes allowed at which a search ends
AIM = 0.995  # share of the bytes allowed that a pass aims at, so that a small miss still fits


class Qualities:
    """Qualities 0 (the fewest bytes) to `levels` − 1, fractions included. Files store theirs as a position
    (`hsc.nets.levels`).

    measured: mean bytes of a face's file at each level, if they have been measured.
    """

    def __init__(self, levels: int, measured: Sequence[float] | None = None) -> None:
        self.levels, self.measured = levels, measured
        self._per_level = positions_per_level(levels)
        self.last_position = (levels - 1) * self._per_level

    @property
    def default(self) -> int:
        """The level whose files, if measured, are nearest to 100 bytes; else the middle one."""
        if not self.measured:
            return self.levels // 2
        return int(np.argmin(np.abs(np.array(self.measured) - BYTES_AIMED_AT)))

    def positions(self, quality: float | Sequence[float] | Tensor | None, count: int) -> Tensor:
        """int64 [count]: the positions nearest to a quality, the default one, or each face's. Raises HscError for a
        quality out of range.
        """
        if isinstance(quality, Tensor):
            quality = quality.tolist()  # before the cast: not every device has float64
        levels = torch.tensor(self.default if quality is None else quality, dtype=torch.float64)
        if not ((levels >= 0) & (levels <= self.levels - 1)).all():
            raise HscError(f"quality {quality} is not within 0 … {self.levels - 1}")
        return (levels * self._per_level).round().long().expand(count)

    def position_of(self, header: Header) -> int:
        """The position that a file was coded at; version 1 stored the level."""
        return header.quality * self._per_level if header.version == 1 else header.quality

    def level_of(self, header: Header) -> float:
        """The level, possibly fractional, that a file was coded at."""
        return self.position_of(header) / self._per_level

    def typical_bytes(self) -> NDArray[np.float64]:
        """Bytes of a face's file at every position: interpolated between measured levels, else by the usual growth."""
        levels = np.arange(self.levels)
        measured = self.measured or BYTES_AIMED_AT * GROWTH ** (levels - self.levels / 2)
        places = np.arange(self.last_position + 1) / self._per_level
        return np.maximum.accumulate(np.exp(np.interp(places, levels, np.log(measured))))


def highest_within(
    size_of: Callable[[NDArray[np.int64]], NDArray[np.int64]], count: int, typical: NDArray[np.float64], limit: int
) -> NDArray[np.int64]:
    """The highest position of each of `count` faces whose file has at most `limit` bytes, −1 if there is none.

    size_of: positions [count] → bytes of each face at its position; a pass of the entropy model. typical: bytes of a
    typical face at each position, increasing. The ratio of a face's bytes to the typical face's is nearly the same at
    all qualities: each pass measures that ratio at the position that the last one predicted. Sizes need not grow with
    every position; the result always fits.
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
