"""SIGTERM during training: finish the step, save, exit 143."""

import signal
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl

TERMINATED = 143


class SaveOnTermination(pl.Callback):
    """Lightning itself answers SIGTERM with exit status 0 (Lightning-AI/pytorch-lightning#19916), which schedulers read
    as "done", and without saving. This saves `checkpoint` at the end of the step in which the signal came, and exits
    with 143. Before a validation, which may be long, it saves too: a signal during validation exits at once.

    Of several processes it is enough that one gets the signal; all end after the same step.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self._received = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # In place of Lightning's handler, set just before; after training Lightning puts the one before that back.
        signal.signal(signal.SIGTERM, self._note)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        told_to_stop = self._anybody_told_to_stop(trainer)
        if told_to_stop or int(pl_module.batches_seen) % trainer.val_check_interval == 0:
            trainer.save_checkpoint(self.checkpoint)
        if told_to_stop:
            raise SystemExit(TERMINATED)

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        # Processes may have different numbers of validation batches, so several wait for the end of the next step.
        if self._received and trainer.world_size == 1:
            raise SystemExit(TERMINATED)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._anybody_told_to_stop(trainer):
            raise SystemExit(TERMINATED)

    def _anybody_told_to_stop(self, trainer: pl.Trainer) -> bool:
        return trainer.strategy.reduce_boolean_decision(self._received, all=False)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received = True
