"""How long the rest of a run will take."""

import math
import time
from dataclasses import dataclass

from hsc.config import Config


@dataclass(frozen=True)
class _Work:
    """What a stage has to do."""

    steps: int
    batch_size: int
    validate_every: int

    def images_after(self, step: int) -> int:
        return (self.steps - step) * self.batch_size

    def validations_after(self, step: int) -> int:
        """The last step is validated, too, whatever the interval."""
        return math.ceil(self.steps / self.validate_every) - step // self.validate_every


class Pace:
    """Estimates the seconds to the end of a run from those of the steps and validations so far.

    A stage's steps are expected to take what they have taken so far; those of stages to come, for each image, what the
    current stage's do.
    """

    def __init__(self, config: Config) -> None:
        stages = {name: config.stages[name] for name in config.run}
        self._work = {
            name: _Work(stage.steps, stage.batch_size, min(stage.validate_every, stage.steps))
            for name, stage in stages.items()
        }
        self._stage, self._step = config.run[0], 0
        self._last: float | None = None
        self._seconds, self._images = 0.0, 0
        self._validation_seconds = 0.0
        self.images_per_second: float | None = None

    def begin(self, stage: str, step: int) -> None:
        """The stage goes on after this step."""
        self._stage, self._step = stage, step
        self._last, self._seconds, self._images = None, 0.0, 0

    def stepped(self, step: int) -> None:
        """The stage has done this step. The first one is not counted, for it also warms up."""
        now = time.monotonic()
        if self._last is not None:
            self._seconds += now - self._last
            self._images += (step - self._step) * self._work[self._stage].batch_size
            self.images_per_second = self._images / max(self._seconds, 1e-9)
        self._last, self._step = now, step

    def validated(self, seconds: float) -> None:
        """A validation has taken so long."""
        self._validation_seconds = seconds
        self._last = None if self._last is None else time.monotonic()

    @property
    def seconds_left(self) -> float | None:
        """To the end of the run's last stage; None before anything is known."""
        if self.images_per_second is None:
            return None
        current, *later = self._remaining()
        images = current.images_after(self._step) + sum(work.images_after(0) for work in later)
        validations = current.validations_after(self._step) + sum(work.validations_after(0) for work in later)
        return images / self.images_per_second + validations * self._validation_seconds

    def _remaining(self) -> list[_Work]:
        names = list(self._work)
        return [self._work[name] for name in names[names.index(self._stage) :]]
