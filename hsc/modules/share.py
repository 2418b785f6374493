"""A step's images shared out: over processes, and over the parts in which a process computes them (accumulation)."""

from typing import NamedTuple

from torch import Tensor


class Share(NamedTuple):
    """Images place, place + parts, place + 2·parts, … of a step's batch; every share holds equally many.

    What is random about a step is drawn for the whole batch, and each share takes its own: results then depend neither
    on the number of processes nor on accumulation, but for the order of sums.
    """

    place: int = 0
    parts: int = 1

    def of(self, everything: Tensor) -> Tensor:
        """This share of values that belong to the whole batch, [N · parts, …] → [N, …]."""
        return everything[self.place :: self.parts]


WHOLE = Share()
