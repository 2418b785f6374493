"""When a stage is saved, and training told to stop: finish the step, save, exit 143, or 130 after Ctrl-C. By SLURM's
USR1: also ask for another turn.
"""

import signal
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pytorch_lightning as pl

from hsc.slurm import PREEMPTED, TERMINATED, in_slurm, requeue
from hsc.training.divergence import check_finite
from hsc.training.terminal import say

INTERRUPTED = 130


class StageCheckpoints(pl.Callback):
    """Saves `checkpoint` every `save_every` steps, before a validation, which may be long, at the last step, and when
    told to stop.

    Weights that are not finite are never saved: training ends there with an error.

    Lightning itself answers SIGTERM with exit status 0 (Lightning-AI/pytorch-lightning#19916), which schedulers read
    as "done", and without saving. This saves at the end of the step in which the signal came, and exits with 143; a
    signal during validation exits at once.

    USR1, which SLURM sends where a job asks for it (`--signal=USR1@90`), does the same, and then requeues the job.
    Lightning would save in the middle of the step, from which training does not go on exactly.

    Ctrl-C does the same and exits with 130. A second one, or one during validation, which was preceded by a checkpoint,
    ends at once.

    Of several processes it is enough that one gets the signal; all end after the same step.
    """

    def __init__(self, stage: str, checkpoint: Path) -> None:
        self.stage, self.checkpoint = stage, checkpoint
        self._received = self._preempted = self._interrupted = self._validating = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # In place of Lightning's handlers, set just before; after training Lightning puts those before that back.
        signal.signal(signal.SIGTERM, self._note)
        if in_slurm():
            signal.signal(PREEMPTED, self._note)
        signal.signal(signal.SIGINT, self._note_interrupt)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if not pl_module.between_steps:
            return
        told_to_stop = self._any(trainer, self._received)
        stage, step = pl_module.stage, pl_module.step
        due = step == stage.steps or any(step % every == 0 for every in (stage.save_every, stage.validate_every))
        if told_to_stop or due:
            check_finite(trainer, pl_module, self.stage)
            trainer.save_checkpoint(self.checkpoint)
        if told_to_stop:
            say(f"{self.stage}: saved after {step} of {stage.steps} steps, in {self.checkpoint}")
            self._end(trainer)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._validating = True

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        # Processes may have different numbers of validation batches, so several wait for the end of the validation.
        if self._received and trainer.world_size == 1:
            self._end(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._validating = False
        if self._any(trainer, self._received):
            self._end(trainer)

    def _end(self, trainer: pl.Trainer) -> NoReturn:
        if self._any(trainer, self._preempted):
            requeue()
        raise SystemExit(INTERRUPTED if self._any(trainer, self._interrupted) else TERMINATED)

    def _any(self, trainer: pl.Trainer, told: bool) -> bool:
        return trainer.strategy.reduce_boolean_decision(told, all=False)

    def _note_interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._received or self._validating:
            raise KeyboardInterrupt
        say(f"{self.stage}: finishes this step and saves; Ctrl-C again ends at once")
        self._received = self._interrupted = True

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received = True
        self._preempted |= number == PREEMPTED
