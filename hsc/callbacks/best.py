"""The values of the best validation, kept together as the run's summary."""

import math
from typing import Any

import pytorch_lightning as pl

from hsc.callbacks.base import logged_info
from hsc.callbacks.loggers import samples_seen, wandb_runs


class BestValueCallback(pl.Callback):
    """Makes all `val/…` values of the best validation so far the W&B summary, together; survives resuming.

    By default W&B summarises a run by its last values, and sweeps rank runs by them. `monitor`: the value by which
    validations are compared; if validation does not report it, the latest is used. `best`: the values that the best
    validation reported, by name.
    """

    def __init__(self, monitor: str = "") -> None:
        self.monitor = monitor
        self.best: dict[str, float] = {}
        self._defined: set[str] = set()

    def state_dict(self) -> dict[str, Any]:
        return {"best": dict(self.best)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = dict(state_dict["best"])

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        reported = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if self.monitor not in reported or logged_info(trainer, self.monitor).is_better(
            reported[self.monitor], self.best.get(self.monitor)
        ):
            self.best = reported
        self._summarise(trainer, pl_module, {name for name in reported if name.startswith("val/")})

    def _summarise(self, trainer: pl.Trainer, pl_module: pl.LightningModule, reported: set[str]) -> None:
        best = {name: value for name, value in self.best.items() if name.startswith("val/") and not math.isnan(value)}
        axis = "samples_seen" if samples_seen(pl_module) is not None else None
        for run in wandb_runs(trainer):
            for name in reported - self._defined:
                # Otherwise W&B restores the last value at the next validation. A bare dot would name a nested value.
                run.define_metric(name.replace(".", r"\."), step_metric=axis, summary="none")
            for name in set(run.summary.keys()) - best.keys():  # of other validations, or of another stage
                if name.startswith("val/") and isinstance(run.summary[name], int | float):
                    del run.summary[name]
            run.summary.update(best)
        self._defined |= reported
