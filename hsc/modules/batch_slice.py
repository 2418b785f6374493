"""Which images of a step's batch are computed at a time: by this process, in this micro-batch (`accumulate`)."""

from typing import NamedTuple

from torch import Tensor


class BatchSlice(NamedTuple):
    """Images start, start + stride, start + 2·stride, … of a step's batch: one of `stride` slices of equal size.

    A step's random numbers are drawn for the whole batch, and each slice takes its own part of them. So results depend
    neither on the number of processes nor on accumulation, except for the order of summation.
    """

    start: int = 0
    stride: int = 1

    def of(self, batch: Tensor) -> Tensor:
        """This slice of values that belong to the whole batch, [N · stride, …] → [N, …]."""
        return batch[self.start :: self.stride]


WHOLE_BATCH = BatchSlice()
