"""The best value of every validation metric, kept as the run's summary."""

import math
from typing import Any

import pytorch_lightning as pl

from hsc.callbacks.loggers import samples_seen, wandb_runs

HIGHER_IS_BETTER = {"psnr", "ms_ssim", "identity_accuracy", "detection_rate"}  # of all others lower is


class BestValueCallback(pl.Callback):
    """Keeps the best value so far of every `val/…` metric and makes it the W&B summary; survives resuming.

    Left alone, W&B summarises a run by its last values, and sweeps rank runs by them. `best` holds the values by name.
    """

    def __init__(self) -> None:
        self.best: dict[str, float] = {}
        self._defined: set[str] = set()

    def state_dict(self) -> dict[str, Any]:
        return {"best": dict(self.best)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = dict(state_dict["best"])

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        for name, value in trainer.callback_metrics.items():
            if name.startswith("val/") and not math.isnan(value):
                self.best[name] = _better(name, float(value), self.best.get(name))
        axis = "samples_seen" if samples_seen(pl_module) is not None else None
        for run in wandb_runs(trainer):
            for name in self.best.keys() - self._defined:
                # Otherwise W&B puts the last value back at the next validation.
                run.define_metric(name, step_metric=axis, summary="none")
            self._defined |= self.best.keys()
            run.summary.update(self.best)


def _better(name: str, value: float, known: float | None) -> float:
    if known is None:
        return value
    return max(value, known) if name.rpartition("/")[2] in HIGHER_IS_BETTER else min(value, known)
