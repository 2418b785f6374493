"""What a validation found, as a table: one row per layer."""

from collections.abc import Mapping
from itertools import chain
from typing import Any

import pytorch_lightning as pl
from rich import box
from rich.table import Table
from rich.text import Text

from hsc.callbacks import SampleGridCallback
from hsc.metrics.info import MetricInfo, metric_info
from hsc.training.terminal import Terminal, say

# What is shown: of each, the first that is logged.
COLUMNS = (("bytes",), ("lpips_vgg", "lpips"), ("identity_distance",), ("landmark_nme",), ("psnr",))


class ValidationTable(pl.Callback):
    """After each validation a table with one row per layer, each value followed by its change since the validation
    before, and the path of the pictures.

    `last`: values of the run's last validation by name, which stages hand on.
    """

    def __init__(self, terminal: Terminal, title: str, last: dict[str, float]) -> None:
        self._terminal, self._title, self._last = terminal, title, last

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if trainer.sanity_checking:
            return
        values = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
        table = validation_table(values, self._last, list(pl_module.config.model.layers))
        if table is not None:
            say(f"{self._title}, step {pl_module.step} of {pl_module.stage.steps}:")
            self._terminal.show(table)
        for line in _generated(values, self._last):
            say(line)
        for callback in trainer.callbacks:  # type: ignore[attr-defined]  # set by a connector
            if isinstance(callback, SampleGridCallback) and callback.written is not None:
                say(f"pictures: {callback.written}")
        self._last.clear()
        self._last.update(values)


def validation_table(values: Mapping[str, float], before: Mapping[str, float], layers: list[str]) -> Table | None:
    """Of the `val/LAYER/NAME` among `values`; None where there are none. `before`: those of the validation before."""
    found = [layer for layer in layers if any(name.startswith(f"val/{layer}/") for name in values)]
    logged = [_first_logged(names, values) for names in COLUMNS]
    columns = [info for name in logged if name is not None for info in [metric_info(name)] if info is not None]
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
    """A value, and its change: green where it is for the better."""
    if name not in values:
        return Text(), Text()
    value = values[name]
    if name not in before:
        return Text(info.show(value)), Text()
    change = round(info.scale * (value - before[name]), info.decimals) + 0.0  # never -0.0
    style = "green" if info.is_better(value, before[name]) else "red"
    return Text(info.show(value)), Text(f"{change:+.{info.decimals}f}".replace("-", "−"), style if change else "dim")


def _generated(values: Mapping[str, float], before: Mapping[str, float]) -> list[str]:
    """Lines on the faces that a prior draws."""
    measured = {name.removeprefix("val/generated/"): name for name in values if name.startswith("val/generated/")}
    words = [
        f"{short} {values[name]:.4g}" + (f" ({values[name] - before[name]:+.2g})" if name in before else "")
        for short, name in measured.items()
    ]
    return [f"generated faces: {', '.join(words)}"] if words else []
