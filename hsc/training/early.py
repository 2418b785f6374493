"""Early stopping: a stage ends when validation has not improved for a while, and leaves its best weights."""

from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn

from hsc.callbacks.base import logged_info
from hsc.errors import HscError

BEST = "best.ckpt"


class Keeping(NamedTuple):
    """The weights that a stage keeps: the best by `watch`; it ends after `patience` validations without better ones."""

    watch: str
    patience: int


class EarlyStop(pl.Callback):
    """Ends training after `patience` validations that did not better `watch`; keeps the averaged weights of the best.

    Small sets are learned by heart within minutes: the last weights are then not the best. A resumed run goes on
    counting where it was. Raises HscError at the first validation that does not report `watch`, and where nobody
    says which way that is better.

    With `patience` 0 it only keeps the best, if validation reports `watch` at all.
    """

    def __init__(self, folder: Path, watch: str, patience: int) -> None:
        self._file, self.watch, self.patience = folder / BEST, watch, patience
        self.metrics: dict[str, float] = {}
        """what the best validation reported"""
        self.waited = 0

    def state_dict(self) -> dict[str, Any]:
        return {"metrics": dict(self.metrics), "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.metrics, self.waited = dict(state_dict["metrics"]), state_dict["waited"]

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking or (self.patience and trainer.state.fn != TrainerFn.FITTING):
            return
        reported = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if self.watch not in reported and not self.patience:
            return
        if self.watch not in reported:
            known = ", ".join(sorted(name for name in reported if name.startswith("val/")))
            raise HscError(f"config: watch: validation does not report {self.watch!r}; it reports {known}")
        if logged_info(trainer, self.watch).is_better(reported[self.watch], self.metrics.get(self.watch)):
            self.metrics, self.waited = reported, 0
            # Every process: Lightning gathers what they hold. The averaging callback puts its weights into the file.
            trainer.save_checkpoint(self._file, weights_only=True)
            return
        self.waited += 1
        trainer.should_stop = 0 < self.patience <= self.waited

    def put_best(self, module: pl.LightningModule) -> None:
        """Give the module the weights of the best validation."""
        if self.metrics:
            held = torch.load(self._file, map_location="cpu", mmap=True, weights_only=True)
            module.load_state_dict(held["state_dict"])

    def remove(self) -> None:
        """After the weights have been saved for good."""
        self._file.unlink(missing_ok=True)
