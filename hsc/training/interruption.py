"""SIGTERM during training: finish the step, save, exit 143."""

import signal
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl

TERMINATED = 143


class SaveOnTermination(pl.Callback):
    """Lightning itself answers SIGTERM with exit status 0 (Lightning-AI/pytorch-lightning#19916), which schedulers read
    as "done". This saves `checkpoint` at the end of the step in which the signal came, and exits with 143.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self._received = False
        self._previous: Any = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage == "fit":
            self._previous = signal.signal(signal.SIGTERM, self._note)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)
            self._previous = None

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if self._received:
            trainer.save_checkpoint(self.checkpoint)
            raise SystemExit(TERMINATED)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received = True
