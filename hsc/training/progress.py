"""Progress of a run and its remaining time."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from pytorch_lightning.loggers import Logger

from hsc.config import Config
from hsc.modules.base import StepCallback, TrainableModule
from hsc.progress import Display, display, duration
from hsc.training.terminal import Terminal, ValidationTable

PEEK_SECONDS = 2.0


class TimeEstimate:
    """Estimates the seconds to the end of a run from the duration of its steps and validations so far.

    The remaining steps of the current stage are expected to take as long as those so far; those of later stages, as
    long per image as the current stage's.
    """

    def __init__(self, config: Config) -> None:
        self._stages = {name: config.stages[name] for name in config.run}
        self._stage, self._step = config.run[0], 0
        self._last: float | None = None
        self._seconds, self._images = 0.0, 0
        self._validation_seconds = 0.0
        self.images_per_second: float | None = None

    def begin(self, stage: str, step: int) -> None:
        """The stage continues after this step."""
        self._stage, self._step = stage, step
        self._last, self._seconds, self._images = None, 0.0, 0

    def stepped(self, step: int) -> None:
        """The stage has finished this step. The first one is not counted, since it includes the warm-up."""
        now = time.monotonic()
        if self._last is not None:
            self._seconds += now - self._last
            self._images += (step - self._step) * self._stages[self._stage].batch_size
            self.images_per_second = self._images / max(self._seconds, 1e-9)
        self._last, self._step = now, step

    def validated(self, seconds: float) -> None:
        """A validation has taken so long."""
        self._validation_seconds = seconds
        self._last = None if self._last is None else time.monotonic()

    @property
    def seconds_left(self) -> float | None:
        """To the end of the run's last stage; None before there is an estimate."""
        if self.images_per_second is None:
            return None
        names, images, validations = list(self._stages), 0, 0
        for name in names[names.index(self._stage) :]:
            stage, done = self._stages[name], self._step if name == self._stage else 0
            images += (stage.steps - done) * stage.batch_size
            every = min(stage.validate_every, stage.steps)
            validations += math.ceil(stage.steps / every) - done // every  # the last step is validated, too
        return images / self.images_per_second + validations * self._validation_seconds


class RunOutput:
    """Where the stages of a run, one after the other, report: a display of the current activity and the estimated end,
    and `loggers`, beside which each stage has a CSV file of its own. `title`: of the current stage, such as "joint · 4
    of 4".
    """

    def __init__(self, config: Config, terminal: Terminal, shown: Display) -> None:
        self.run, self.estimate, self.title = config.run, TimeEstimate(config), ""
        self.loggers: Sequence[Logger] = ()
        self._terminal, self._display = terminal, shown
        self._validated: dict[str, float] = {}

    def begin(self, stage: str) -> None:
        """From now on, show the progress of this stage."""
        self.title = f"{stage} · {self.run.index(stage) + 1} of {len(self.run)}"
        self.doing("reading the data")

    def callbacks(self, stage: str) -> list[pl.Callback]:
        """The callbacks that show steps and validations of the current stage."""
        return [StageProgress(self, stage), ValidationTable(self._terminal, self.title, self._validated)]

    def doing(self, what: str) -> None:
        """Show an activity that takes a while and whose end is not known."""
        self._display.begin(self.title, what)

    def stepped(self, step: int, steps: int, values: Mapping[str, float]) -> None:
        """A training step is done; `values` by the names they are shown under."""
        estimate = self.estimate
        details = [f"{name} {value:.3g}" for name, value in values.items()]
        if estimate.images_per_second is not None:
            details.append(f"{estimate.images_per_second:.3g} images/s")
        left = "" if estimate.seconds_left is None else f"run ends in {duration(estimate.seconds_left)}"
        # A stage's last values are always shown, however fast it was.
        self._display.show(self.title, step, steps, " · ".join(details), left, now=step == steps)

    def validating(self, batch: int, batches: int) -> None:
        """So many batches of a validation are finished."""
        self._display.show(self.title, batch, batches, "validating", now=batch == 0)


@contextmanager
def run_output(config: Config, terminal: Terminal, silent: bool = False) -> Iterator[RunOutput]:
    """The output of a run; it shows nothing if silent or quiet, nor in processes other than the first."""
    with Display() if silent or not terminal.shows_news else display(terminal.errors) as shown:
        yield RunOutput(config, terminal, shown)


class StageProgress(StepCallback, ProgressBar):
    """Reports a stage's steps and validations to a `RunOutput`.

    Beside the bar are objective, rate and one distortion of the last layer: means since the last log point, as they
    are logged; before the first one, the means so far, for which it occasionally waits for the device.
    """

    def __init__(self, output: RunOutput, stage: str) -> None:
        super().__init__()
        self._output, self._stage = output, stage
        self._shown = True
        self._values: dict[str, float] = {}
        self._logged = False
        self._peeked = self._validation_began = 0.0
        self._batches = 0

    def disable(self) -> None:
        self._shown = False

    def enable(self) -> None:
        self._shown = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, TrainableModule)
        self._output.estimate.begin(self._stage, pl_module.step)
        self._peeked = time.monotonic()

    def on_step_end(self, trainer: pl.Trainer, module: TrainableModule) -> None:
        if self._shown:
            self._output.estimate.stepped(module.step)
            self._look_at(trainer, module)
            self._output.stepped(module.step, module.stage.steps, self._values)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._validation_began = time.monotonic()
        self._batches = int(sum(trainer.num_val_batches))
        self._tell_validation(0)

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._tell_validation(batch_idx + 1)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._output.estimate.validated(time.monotonic() - self._validation_began)

    def _tell_validation(self, batch: int) -> None:
        if self._shown and not self.trainer.sanity_checking:
            self._output.validating(batch, self._batches)

    def _look_at(self, trainer: pl.Trainer, module: TrainableModule) -> None:
        now = time.monotonic()
        means = module.running_means
        if not means.names:  # just logged
            logged = {name.removeprefix("train/"): float(value) for name, value in trainer.callback_metrics.items()}
            self._values, self._logged = headline(logged, module.layer_names[-1]), True
        elif not self._logged and now - self._peeked >= PEEK_SECONDS:
            values = dict(zip(means.names, means.values(module.device).tolist(), strict=True))
            self._values = headline(values, module.layer_names[-1])
            self._peeked = now


def headline(values: Mapping[str, float], layer: str) -> dict[str, float]:
    """Objective, bpp and one distortion of a layer, preferably an LPIPS, from a step's values, if they are there.

    >>> headline({"basic/bpp_estimated": 0.04, "basic/l2": 0.1, "basic/lpips": 0.3, "objective": 2.0}, "basic")
    {'objective': 2.0, 'bpp': 0.04, 'lpips': 0.3}
    """
    own = {name.removeprefix(f"{layer}/"): value for name, value in values.items() if name.startswith(f"{layer}/")}
    rate = own.pop("bpp_estimated", None)
    shown = {"objective": values["objective"]} if "objective" in values else {}
    if rate is not None:
        shown["bpp"] = rate
    chosen = min(own, key=lambda name: not name.startswith("lpips"), default=None)
    return shown if chosen is None else shown | {chosen: own[chosen]}
