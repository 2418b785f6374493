"""Which images of a step's batch are computed at a time: by this process, in this micro-batch (`accumulate`)."""

from typing import NamedTuple

from torch import Tensor


class BatchSlice(NamedTuple):
    """Images start, start + stride, start + 2·stride, … of a step's batch: one of `stride` slices of equally many.

    What is random about a step is drawn for the whole batch, of which each slice takes its own: results then depend
    neither on the number of processes nor on accumulation, but for the order of sums.
    """

    start: int = 0
    stride: int = 1

    def of(self, batch: Tensor) -> Tensor:
        """This slice of values that belong to the whole batch, [N · stride, …] → [N, …]."""
        return batch[self.start :: self.stride]


WHOLE_BATCH = BatchSlice()
