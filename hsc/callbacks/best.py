"""The best value of every validation metric, kept as the run's summary."""

import math
from collections.abc import Collection
from typing import Any

import pytorch_lightning as pl

from hsc.callbacks.loggers import samples_seen, wandb_runs

HIGHER_IS_BETTER = frozenset({"psnr", "ms_ssim", "identity_accuracy", "detection_rate"})
NEITHER = frozenset({"zero_symbols", "row_bits", "originals"})  # described, not judged


class BestValueCallback(pl.Callback):
    """Keeps the best value so far of every `val/…` metric and makes it the W&B summary; survives resuming.

    Left alone, W&B summarises a run by its last values, and sweeps rank runs by them. `best` holds the values by name.
    `higher_is_better`: last parts of the names of which the highest value is the best; of all others the lowest is.
    """

    def __init__(self, higher_is_better: Collection[str] = HIGHER_IS_BETTER) -> None:
        self.higher_is_better = higher_is_better
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
            if name.startswith("val/") and not NEITHER.intersection(name.split("/")) and not math.isnan(value):
                choose = max if name.rpartition("/")[2] in self.higher_is_better else min
                self.best[name] = choose(float(value), self.best.get(name, float(value)))
        axis = "samples_seen" if samples_seen(pl_module) is not None else None
        for run in wandb_runs(trainer):
            for name in self.best.keys() - self._defined:
                # Otherwise W&B puts the last value back at the next validation.
                run.define_metric(name, step_metric=axis, summary="none")
            run.summary.update(self.best)
        self._defined |= self.best.keys()
