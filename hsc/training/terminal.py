"""Terminal output of a training: news and tables on standard output, progress and warnings on standard error."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, Literal

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_only
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from hsc.callbacks import SampleGridCallback
from hsc.callbacks.base import described_metrics
from hsc.metrics.info import MetricInfo, metric_info
from hsc.metrics.own import own_metrics
from hsc.modules.base import TrainableModule

Verbosity = Literal["quiet", "normal", "verbose"]
WIDTH = 120  # of tables written to a file
# The metrics shown: of each group, the first that is logged.
COLUMNS = (("bytes",), ("lpips_vgg", "lpips"), ("identity_distance",), ("landmark_nme",), ("psnr",))

_news = logging.getLogger("hsc.news")

FILTERED = (
    r".*Checkpoint directory .* exists and is not empty.*",  # a stage folder always contains its key and log
    r".*isinstance\(treespec, LeafSpec\).*",  # Lightning 2.6 on torch 2.11 and later
    r".*does not have many workers.*",  # small sets are held in memory, where workers only add overhead
    r".*The `srun` command is available.*",
    r".*functional\.all_gather is deprecated.*",  # Lightning's own call
    r"Grad strides do not match bucket view strides.*",  # channels_last under DDP: a copy of a few numbers
)


def say(line: str) -> None:
    """Print a line of news from the first process; nothing outside of a training or if it is quiet."""
    if _first_process():
        _news.info(line)


class Terminal:
    """The verbosity of a training, and the consoles that it writes to.

    `output` takes news, tables and the summary, `errors` progress and warnings. If both are the same terminal, they
    share one console, so that news appears above a progress bar. "quiet": only warnings and results. "verbose": also
    the output of Lightning, W&B and other packages. Among several processes only the first one prints.
    """

    def __init__(self, verbosity: Verbosity = "normal") -> None:
        self.verbosity = verbosity
        self.errors = Console(stderr=True)
        to_terminal = sys.stdout.isatty()
        self.together = to_terminal and self.errors.is_terminal
        self.output = self.errors if self.together else Console(width=None if to_terminal else WIDTH)

    @property
    def shows_news(self) -> bool:
        """Whether news is shown."""
        return self.verbosity != "quiet" and _first_process()

    def show(self, content: RenderableType) -> None:
        """Print a table among the news."""
        if self.shows_news:
            self.output.print(content)

    @contextmanager
    def in_use(self) -> Iterator["Terminal"]:
        """In the block, prints what `say` is given, and hides messages of other packages that do not concern users."""
        handler, before = _Lines(self.output), warnings.formatwarning
        _news.addHandler(handler)
        _news.setLevel(logging.INFO if self.shows_news else logging.WARNING)
        _news.propagate = False
        try:
            with warnings.catch_warnings():
                if self.verbosity != "verbose":
                    os.environ.setdefault("WANDB_SILENT", "true")
                    filter_lightning_logs()
                    filter_deprecation_warnings()
                    warnings.formatwarning = _in_one_line
                yield self
        finally:
            warnings.formatwarning = before
            _news.removeHandler(handler)


class _Lines(logging.Handler):
    """Prints messages unchanged and never wrapped, so that paths stay whole."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(record.getMessage(), markup=False, highlight=False, soft_wrap=True)


def _in_one_line(message: Any, *_: Any, **__: Any) -> str:
    return f"warning: {' '.join(str(message).split())}\n"


def _first_process() -> bool:
    return getattr(rank_zero_only, "rank", 0) == 0


def filter_lightning_logs() -> None:
    """Hide Lightning's routine messages; its warnings that matter are still shown."""
    for name in ("pytorch_lightning", "pytorch_lightning.utilities.rank_zero", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("pytorch_lightning.loggers.mlflow").setLevel(logging.ERROR)  # that an experiment is created
    for message in FILTERED:
        warnings.filterwarnings("ignore", message=message)


def filter_deprecation_warnings() -> None:
    """Hide deprecation warnings, which are addressed to the authors of the calling packages."""
    for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
        warnings.filterwarnings("ignore", category=category)


class ValidationTable(pl.Callback):
    """After each validation, a table with one row per layer, each value followed by its change since the previous
    validation, and the path of the pictures.

    `last`: values of the run's last validation by name, passed from stage to stage.
    """

    def __init__(self, terminal: Terminal, title: str, last: dict[str, float]) -> None:
        self._terminal, self._title, self._last = terminal, title, last

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, TrainableModule)
        if trainer.sanity_checking:
            return
        values = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
        own = own_metrics(described_metrics(trainer).values()).values()
        table = validation_table(values, self._last, list(pl_module.config.model.layers), list(own))
        if table is not None:
            say(f"{self._title}, step {pl_module.step} of {pl_module.stage.steps}:")
            self._terminal.show(table)
        for line in _generated(values, self._last):
            say(line)
        kept = not trainer.fast_dev_run  # type: ignore[attr-defined]  # set by a connector
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, SampleGridCallback) and callback.written and kept:
                say(f"pictures: {callback.written}")
        self._last.clear()
        self._last.update(values)


def validation_table(
    values: Mapping[str, float], before: Mapping[str, float], layers: list[str], own: Sequence[MetricInfo] = ()
) -> Table | None:
    """A table of the `val/LAYER/NAME` among `values`; None if there are none. before: those of the previous validation.
    own: metrics of the user's own judges, shown after the usual ones."""
    found = [layer for layer in layers if any(name.startswith(f"val/{layer}/") for name in values)]
    logged = [_first_logged(names, values) for names in COLUMNS]
    columns = [info for name in logged if name is not None for info in [metric_info(name)] if info is not None]
    columns += [info for info in own if _first_logged((info.name,), values)]
    if not found or not columns:
        return None
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column("layer")
    for info in columns:
        table.add_column(f"{info.label}, {info.unit}" if info.unit else info.label, justify="right")
        table.add_column("")  # changes, one below the other
    for layer in found:
        cells = [_cells(info, f"val/{layer}/{info.name}", values, before) for info in columns]
        table.add_row(layer, *chain.from_iterable(cells))
    return table


def _first_logged(names: tuple[str, ...], values: Mapping[str, float]) -> str | None:
    return next((name for name in names if any(logged.endswith(f"/{name}") for logged in values)), None)


def _cells(info: MetricInfo, name: str, values: Mapping[str, float], before: Mapping[str, float]) -> tuple[Text, Text]:
    """A value, and its change: green if it improves."""
    if name not in values:
        return Text(), Text()
    value = values[name]
    if name not in before:
        return Text(info.show(value)), Text()
    change = round(info.scale * (value - before[name]), info.decimals) + 0.0  # never -0.0
    style = "green" if info.is_better(value, before[name]) else "red"
    return Text(info.show(value)), Text(f"{change:+.{info.decimals}f}".replace("-", "−"), style if change else "dim")


def _generated(values: Mapping[str, float], before: Mapping[str, float]) -> list[str]:
    """Lines on the faces that a prior generates."""
    measured = {name.removeprefix("val/generated/"): name for name in values if name.startswith("val/generated/")}
    words = [
        f"{short} {values[name]:.4g}" + (f" ({values[name] - before[name]:+.2g})" if name in before else "")
        for short, name in measured.items()
    ]
    return [f"generated faces: {', '.join(words)}"] if words else []
