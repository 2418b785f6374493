"""Composition of batches as a pure function: no state to save or restore, for any number of processes."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from hsc.errors import HscError


class StepBatches(Sampler[list[int]]):
    """Endless shuffled batches: batch k of rank r is a pure function of (seed, k, global batch).

    Training that stopped after k batches resumes with exactly the batches that would have followed, and the global
    batches do not depend on the number of ranks. Images are drawn in epochs, each a new permutation; a batch may span
    two epochs.

    Yields this rank's keys, those of a step in `parts` parts (gradient accumulation): `i` in [0, n) for image i and,
    with `flips`, `n + i` for image i mirrored (half the time).
    Raises HscError if the global batch cannot be split evenly, which would weight the ranks' gradients wrongly.
    """

    def __init__(
        self,
        n: int,
        global_batch: int,
        seed: int,
        start_step: int = 0,
        rank: int = 0,
        world: int = 1,
        flips: bool = False,
        parts: int = 1,
    ):
        if n < 1 or global_batch < 1:
            raise HscError(f"batches of {global_batch} from {n} images are impossible: both must be at least 1")
        if global_batch % (world * parts):
            raise HscError(
                f"batch_size {global_batch} cannot be shared by {world} processes"
                + (f" in {parts} parts" if parts > 1 else "")
                + f": make it a multiple of {world * parts}"
            )
        self.n, self.global_batch, self.seed, self.start_step = n, global_batch, seed, start_step
        self.rank, self.world, self.flips, self.parts = rank, world, flips, parts
        self._epochs: dict[int, np.ndarray] = {}

    def __iter__(self) -> Iterator[list[int]]:
        step = self.start_step
        while True:
            own = self.batch(step)[self.rank :: self.world]
            for part in range(self.parts):
                yield own[part :: self.parts].tolist()
            step += 1

    def batch(self, step: int) -> np.ndarray:
        """All ranks' keys of one batch, [global batch] int64."""
        first, last = step * self.global_batch, (step + 1) * self.global_batch
        epochs = range(first // self.n, (last - 1) // self.n + 1)
        keys = np.concatenate([self._epoch(epoch) for epoch in epochs])
        self._epochs = {epochs[-1]: self._epochs[epochs[-1]]}
        return keys[first - epochs[0] * self.n : last - epochs[0] * self.n]

    def _epoch(self, epoch: int) -> np.ndarray:
        """The keys of one epoch, [n]; cached while batches still draw from it."""
        if epoch not in self._epochs:
            random = np.random.default_rng([self.seed, epoch])
            keys = random.permutation(self.n)
            if self.flips:
                keys = keys + self.n * random.integers(2, size=self.n)
            self._epochs[epoch] = keys
        return self._epochs[epoch]
