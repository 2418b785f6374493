"""Results as tables and curves in W&B."""

from typing import Any

import pytorch_lightning as pl

from hsc.callbacks.base import LayerMetricCallback, codec_output, known_info
from hsc.callbacks.loggers import log_to_wandb, wandb_runs
from hsc.metrics.per_image import PerImage, image_keys


class WandbTableCallback(pl.Callback):
    """At every validation, in all W&B runs:

    `val/per_image`: a table with one row per image and layer, with the measuring callbacks' values for that image, for
    the first `count` images (of the first process).
    `val/rate_distortion/NAME`: the mean of NAME over the rate of each layer's files, if there are files.
    """

    def __init__(self, count: int = 200) -> None:
        self.count = count
        self._names: list[str] = []
        self._layers: list[str] = []

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._names = []

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any, **__: Any
    ) -> None:
        output = codec_output(outputs, pl_module)
        self._layers = list(output.layers)
        self._names += output.names[: self.count - len(self._names)]

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking or not wandb_runs(trainer):
            return
        import wandb

        items: dict[str, Any] = {}
        columns, rows = self._per_image(trainer)
        if rows:
            items["val/per_image"] = wandb.Table(columns=[*columns], data=rows)
        for name, points in self._curves(trainer).items():
            column = name.replace(".", "_")  # Vega treats the part after a dot as a field of a nested value
            table = wandb.Table(columns=["layer", "bpp", column], data=points)
            title = f"{_in_words(trainer, name)} over bits per pixel"
            items[f"val/rate_distortion/{name}"] = wandb.plot.line(table, "bpp", column, title=title)
        log_to_wandb(trainer, pl_module, items)

    def _per_image(self, trainer: pl.Trainer) -> tuple[list[str], list[list[Any]]]:
        """Columns (name, layer, values …), and one row per image and layer."""
        keys = image_keys(self._names).tolist()
        values: dict[tuple[int, str], dict[str, float]] = {}
        for callback in trainer.callbacks:  # type: ignore[attr-defined]  # set by a connector
            if isinstance(callback, LayerMetricCallback):
                for layer, metric in callback.metrics.items():
                    if isinstance(metric, PerImage):
                        for key, row in metric.rows().items():
                            values.setdefault((key, layer), {}).update(row)
        columns = list(dict.fromkeys(name for row in values.values() for name in row))
        rows = [
            [name, layer, *(values.get((key, layer), {}).get(column) for column in columns)]
            for name, key in zip(self._names, keys, strict=True)
            for layer in self._layers
        ]
        return ["name", "layer", *columns], rows if columns else []

    def _curves(self, trainer: pl.Trainer) -> dict[str, list[list[Any]]]:
        """(layer, bpp, value) of every layer, by the name of the value."""
        means = {name: float(value) for name, value in trainer.callback_metrics.items()}
        curves: dict[str, list[list[Any]]] = {}
        for layer in self._layers:
            rate = means.get(f"val/{layer}/bpp")
            for name, value in means.items():
                measured = name.removeprefix(f"val/{layer}/")
                if rate is not None and measured != name and not measured.startswith(("bpp", "bytes")):
                    curves.setdefault(measured, []).append([layer, rate, value])
        return curves


def _in_words(trainer: pl.Trainer, name: str) -> str:
    """The name of a logged number in words, with its unit if it is logged in that unit."""
    info = known_info(trainer, name)
    if info is None:
        return name.replace("_", " ")
    return info.axis if info.scale == 1 else info.label
