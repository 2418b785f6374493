"""How far a run has got: a bar at the foot of a terminal, a line now and then elsewhere."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from rich.console import RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Column
from rich.text import Text

from hsc.progress import duration
from hsc.training.pace import Pace
from hsc.training.terminal import Terminal

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_PEEKS = 2.0
REFRESHES_A_SECOND = 4
WIDE = 110  # columns in which values and speed fit beside the bar


class RunProgress:
    """What is being done, from the start of a run to its end, on standard error. This one shows nothing.

    A run has a `title` for what it is at, such as "joint · 4 of 4", and a `pace`.
    """

    def __init__(self, pace: Pace) -> None:
        self.pace, self.title = pace, ""

    def __enter__(self) -> "RunProgress":
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def doing(self, what: str) -> None:
        """Something that takes a while, and whose end is not known."""

    def stepped(self, step: int, steps: int, values: Mapping[str, float]) -> None:
        """A training step is done; `values` by the names they are shown under."""

    def validating(self, batch: int, batches: int) -> None:
        """So many batches of a validation are done."""

    def _left(self) -> str:
        left = self.pace.seconds_left
        return "" if left is None else f"run ends in {duration(left)}"

    def _speed(self) -> str:
        speed = self.pace.images_per_second
        return "" if speed is None else f"{speed:.3g} images/s"


class _WithLineBelow(Progress):
    """A bar, and what does not fit beside it."""

    below = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.below:
            yield Text(f"  {self.below}", no_wrap=True, overflow="ellipsis")


class Bar(RunProgress):
    """One bar that stays at the foot of the terminal, below the news; on a narrow one with the values below it."""

    def __init__(self, pace: Pace, terminal: Terminal) -> None:
        super().__init__(pace)
        self._console = terminal.errors
        self._bar = _WithLineBelow(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=4)),
            TextColumn("{task.fields[words]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=terminal.errors,
            refresh_per_second=REFRESHES_A_SECOND,
            transient=True,
            redirect_stdout=terminal.together,
            expand=True,
        )
        self._task = self._bar.add_task("", total=None, words="")

    def __enter__(self) -> "Bar":
        self._bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._bar.stop()

    def doing(self, what: str) -> None:
        self._bar.below = ""
        description = f"{self.title}: {what}" if self.title else what
        self._bar.reset(self._task, total=None, description=description, words="")

    def stepped(self, step: int, steps: int, values: Mapping[str, float]) -> None:
        shown = " · ".join(f"{name} {_short(value)}" for name, value in values.items())
        wide = self._console.width >= WIDE
        beside = [f"{step}/{steps}", *([shown, self._speed()] if wide else []), self._left()]
        self._show(step, steps, "  ".join(word for word in beside if word), below="" if wide else shown)
        if step == steps:
            self._bar.refresh()  # the stage's last values are seen, however fast it was

    def validating(self, batch: int, batches: int) -> None:
        self._show(batch, batches, f"validating, {batch}/{batches} batches")
        if batch == 0:
            self._bar.refresh()  # that it has begun is seen, however fast it is

    def _show(self, done: int, total: int, words: str, below: str = "") -> None:
        self._bar.below = below
        self._bar.update(self._task, completed=done, total=total, description=self.title, words=words)


class Lines(RunProgress):
    """`joint · 4 of 4 | 250/1000 | objective 0.71 | 31 images/s | run ends in 12 min`, every ten seconds. Nothing
    before the first stage, where a mistake in the configuration is one line alone.
    """

    def __init__(self, pace: Pace, terminal: Terminal) -> None:
        super().__init__(pace)
        self._console = terminal.errors
        self._said = time.monotonic()

    def doing(self, what: str) -> None:
        if self.title:
            self._say(what)

    def stepped(self, step: int, steps: int, values: Mapping[str, float]) -> None:
        if step == steps or self._is_time():
            shown = " ".join(f"{name} {_short(value)}" for name, value in values.items())
            self._say(f"{step}/{steps}", shown, self._speed(), self._left())

    def validating(self, batch: int, batches: int) -> None:
        if batch == 0 or self._is_time():
            self._say(f"validating, {batch}/{batches} batches")

    def _is_time(self) -> bool:
        return time.monotonic() - self._said >= SECONDS_BETWEEN_LINES

    def _say(self, *words: str) -> None:
        line = " | ".join(word for word in (self.title, *words) if word)
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._said = time.monotonic()


def run_progress(pace: Pace, terminal: Terminal, silent: bool = False) -> RunProgress:
    """The bar or the lines of a run; neither where it is to be silent or quiet, nor in processes that do not speak."""
    if silent or not terminal.talks:
        return RunProgress(pace)
    return (Bar if terminal.errors.is_terminal else Lines)(pace, terminal)


class StageProgress(ProgressBar):
    """Tells a `RunProgress` of a stage's steps and validations.

    Beside the bar stand objective, rate and one distortion of the last layer: means since the last log point, as they
    are logged; until the first one what there is so far, for which the device is waited for now and then.
    """

    def __init__(self, progress: RunProgress, stage: str) -> None:
        super().__init__()
        self._progress, self._stage = progress, stage
        self._shown = True
        self._values: dict[str, float] = {}
        self._logged = False
        self._peeked = self._validation_began = 0.0
        self._batches = 0

    def disable(self) -> None:
        self._shown = False

    def enable(self) -> None:
        self._shown = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._progress.pace.begin(self._stage, pl_module.step)
        self._peeked = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        if self._shown and pl_module.between_steps:
            self._progress.pace.stepped(pl_module.step)
            self._look_at(trainer, pl_module)
            self._progress.stepped(pl_module.step, pl_module.stage.steps, self._values)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._validation_began = time.monotonic()
        self._batches = int(sum(trainer.num_val_batches))
        self._tell_validation(0)

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        self._tell_validation(batch_idx + 1)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._progress.pace.validated(time.monotonic() - self._validation_began)

    def _tell_validation(self, batch: int) -> None:
        if self._shown and not self.trainer.sanity_checking:
            self._progress.validating(batch, self._batches)

    def _look_at(self, trainer: pl.Trainer, module: Any) -> None:
        now = time.monotonic()
        if not module.window.sums:  # just logged
            logged = {name.removeprefix("train/"): float(value) for name, value in trainer.callback_metrics.items()}
            self._values, self._logged = headline(logged, module.layer_names[-1]), True
        elif not self._logged and now - self._peeked >= SECONDS_BETWEEN_PEEKS:
            means = module.window.means(module.device).tolist()
            self._values = headline(dict(zip(module.window.sums, means, strict=True)), module.layer_names[-1])
            self._peeked = now


def headline(values: Mapping[str, float], layer: str) -> dict[str, float]:
    """Objective, bpp and one distortion of a layer, preferably an LPIPS, out of a step's values, as far as it has them.

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


def _short(value: float) -> str:
    return f"{value:.3g}"
