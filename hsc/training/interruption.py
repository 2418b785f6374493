"""Training told to stop: finish the step, save, exit 143. By SLURM's USR1: also ask for another turn."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_only

TERMINATED = 143
PREEMPTED = signal.SIGUSR1


class SaveOnTermination(pl.Callback):
    """Lightning itself answers SIGTERM with exit status 0 (Lightning-AI/pytorch-lightning#19916), which schedulers read
    as "done", and without saving. This saves `checkpoint` at the end of the step in which the signal came, and exits
    with 143. Before a validation, which may be long, it saves too: a signal during validation exits at once.

    USR1, which SLURM sends where a job asks for it (`--signal=USR1@90`), does the same, and then requeues the job.
    Lightning would save in the middle of the step, from which training does not go on exactly.

    Of several processes it is enough that one gets the signal; all end after the same step.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.checkpoint = checkpoint
        self._received = self._preempted = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # In place of Lightning's handler, set just before; after training Lightning puts the one before that back.
        signal.signal(signal.SIGTERM, self._note)
        if in_slurm():
            signal.signal(PREEMPTED, self._note)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return  # in the middle of a step
        told_to_stop = self._any(trainer, self._received)
        if told_to_stop or int(pl_module.batches_seen) % pl_module.stage.validate_every == 0:
            trainer.save_checkpoint(self.checkpoint)
        if told_to_stop:
            self._end(trainer)

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        # Processes may have different numbers of validation batches, so several wait for the end of the validation.
        if self._received and trainer.world_size == 1:
            self._end(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._any(trainer, self._received):
            self._end(trainer)

    def _end(self, trainer: pl.Trainer) -> NoReturn:
        if self._any(trainer, self._preempted):
            requeue()
        raise SystemExit(TERMINATED)

    def _any(self, trainer: pl.Trainer, told: bool) -> bool:
        return trainer.strategy.reduce_boolean_decision(told, all=False)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received = True
        self._preempted |= number == PREEMPTED


def requeue_when_preempted() -> None:
    """Outside of training, between stages or while they load, USR1 in a SLURM job requeues it at once."""
    if in_slurm():
        signal.signal(PREEMPTED, _requeue_at_once)


def in_slurm() -> bool:
    """Whether this process belongs to a SLURM job."""
    return "SLURM_JOB_ID" in os.environ


@rank_zero_only
def requeue() -> None:
    """Ask SLURM to start the job again when there is room; run again, training resumes."""
    job = os.environ["SLURM_JOB_ID"]
    if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
        job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    try:
        asked = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True)
        failed = asked.stderr.strip() or f"exit status {asked.returncode}" if asked.returncode else ""
    except OSError as error:
        failed = str(error)
    if failed:
        print(
            f"job {job} was not requeued ({failed}): submit it again, and training goes on", file=sys.stderr, flush=True
        )
    else:
        print(f"job {job} is requeued", flush=True)


def _requeue_at_once(number: int, frame: FrameType | None) -> NoReturn:
    requeue()
    raise SystemExit(TERMINATED)
