"""Saving and resuming a stage: checkpoints at intervals and when training is told to stop, never of weights that are
not finite. The previous one is kept, so that neither a full disk nor a truncated file loses a run.

When told to stop, training finishes its step, saves and exits with 143, or 130 after Ctrl-C. On SLURM's USR1 it also
requeues its job.
"""

import math
import os
import signal
import zipfile
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning.utilities import rank_zero_only, rank_zero_warn

from hsc.errors import HscError
from hsc.files import write_atomically
from hsc.modules.base import StepCallback, TrainableModule
from hsc.slurm import PREEMPTED, TERMINATED, in_slurm, requeue
from hsc.training.terminal import say

LAST = "last.ckpt"
PREVIOUS = "previous.ckpt"
INTERRUPTED = 130


class StageCheckpoints(StepCallback):
    """Saves `checkpoint` every `save_every` steps, before each validation (which may be long), at the last step, and
    when told to stop.

    Weights that are not finite are never saved: training ends there with an error.

    Lightning itself answers SIGTERM with exit status 0 (Lightning-AI/pytorch-lightning#19916), which schedulers read
    as "done", and without saving. This saves at the end of the step in which the signal arrived, and exits with 143; a
    signal during validation exits at once.

    USR1, which SLURM sends if a job asks for it (`--signal=USR1@90`), does the same, and then requeues the job.
    Lightning would save in the middle of the step, from which training does not continue exactly.

    Ctrl-C does the same and exits with 130. A second one, or one during validation (which follows a checkpoint), ends
    training at once.

    If there are several processes, it is enough that one gets the signal; all end after the same step.
    """

    def __init__(self, stage: str, checkpoint: Path) -> None:
        self.stage, self.checkpoint = stage, checkpoint
        self._received = self._preempted = self._interrupted = self._validating = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Replaces the handlers that Lightning has just set; after training Lightning restores those from before.
        signal.signal(signal.SIGTERM, self._on_stop)
        if in_slurm():
            signal.signal(PREEMPTED, self._on_stop)
        signal.signal(signal.SIGINT, self._on_interrupt)

    def on_step_end(self, trainer: pl.Trainer, module: TrainableModule) -> None:
        told_to_stop = self._in_any_process(trainer, self._received)
        stage, step = module.stage, module.step
        due = step == stage.steps or any(step % every == 0 for every in (stage.save_every, stage.validate_every))
        if told_to_stop or due:
            check_finite(trainer, module, self.stage)
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
        if self._in_any_process(trainer, self._received):
            self._end(trainer)

    def _end(self, trainer: pl.Trainer) -> NoReturn:
        if self._in_any_process(trainer, self._preempted):
            requeue()
        raise SystemExit(INTERRUPTED if self._in_any_process(trainer, self._interrupted) else TERMINATED)

    def _in_any_process(self, trainer: pl.Trainer, told: bool) -> bool:
        return trainer.strategy.reduce_boolean_decision(told, all=False)

    def _on_interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._received or self._validating:
            raise KeyboardInterrupt
        say(f"{self.stage}: finishing this step and saving; press Ctrl-C again to exit at once")
        self._received = self._interrupted = True

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self._received = True
        self._preempted |= number == PREEMPTED


class CatchUpValidation(pl.Callback):
    """Before a resumed training continues, runs the validation that was due when it was interrupted.

    A checkpoint at a step with a validation is written before that validation; Lightning resumes after it.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, TrainableModule)
        if pl_module.step and pl_module.step % pl_module.stage.validate_every == 0:
            # As Lightning's training loop does it.
            loop = trainer.fit_loop.epoch_loop.val_loop
            trainer.validating = True
            loop.run()
            trainer.training = True


class SafeCheckpoints(TorchCheckpointIO):
    """Writes a file beside its final place, then renames it; Lightning's own writes elsewhere and copies.

    The previous version of `last.ckpt` is kept as `previous.ckpt`. If a file cannot be written, training reports it and
    continues: the earlier checkpoint is still there, and there may be space by the time of the next one.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        path = Path(path)
        if path.name != LAST:
            write_atomically(path, lambda file: torch.save(checkpoint, file))
            return
        if path.exists():
            os.replace(path, path.with_name(PREVIOUS))
        try:
            write_atomically(path, lambda file: torch.save(checkpoint, file))
        except (HscError, RuntimeError) as error:  # torch's writer turns disk errors into RuntimeErrors
            rank_zero_warn(f"no checkpoint of step {_step(checkpoint)}: {_reason(error)}; the one before is kept")


def newest_checkpoint(folder: Path) -> tuple[Path, int] | None:
    """The newest readable checkpoint in a stage's folder, and its number of steps; None if there is none.

    A damaged one is reported, and renamed so that it does not take the place of a good one.
    """
    for place in (folder / LAST, folder / PREVIOUS):
        if not place.exists():
            continue
        steps = _steps_in(place)
        if steps is not None:
            return place, steps
        aside = place.with_name(f"{place.name}.damaged")
        rank_zero_only(os.replace)(place, aside)
        say(f"{folder.name}: {place} is damaged and was renamed to {aside.name}; continuing from the one before")
    return None


def _steps_in(file: Path) -> int | None:
    """The number of steps of a checkpoint; None if it is truncated."""
    try:
        with zipfile.ZipFile(file) as content:
            if content.testzip() is not None:
                return None
        return int(torch.load(file, map_location="cpu", mmap=True, weights_only=True)["state_dict"]["batches_seen"])
    except Exception:  # torch's reader raises whatever its layers do
        return None


def _step(checkpoint: dict[str, Any]) -> int:
    return int(checkpoint["state_dict"]["batches_seen"])


def _reason(error: Exception) -> str:
    cause = error if isinstance(error, HscError) else error.__cause__ or error.__context__ or error
    return str(cause)


def check_finite(trainer: pl.Trainer, module: TrainableModule, name: str) -> None:
    """Raise HscError if an objective of stage `name` since the last log point, or a weight, is not finite.

    Waits for the device, and all processes must call it.
    """
    if module.running_means.objectives:
        objectives = module.mean_over_ranks(torch.stack(module.running_means.objectives)).tolist()
        for place, value in enumerate(objectives):
            if not math.isfinite(value):
                first = module.step - len(objectives) + 1 + place
                raise _diverged(trainer, module, name, f"the objective is {_word(value)} since step {first}")
    largest = torch.nn.utils.get_total_norm(module.parameters(), math.inf)
    if not math.isfinite(float(largest)):
        raise _diverged(trainer, module, name, f"a weight is {_word(float(largest))} after step {module.step}")


def _diverged(trainer: pl.Trainer, module: TrainableModule, name: str, what: str) -> HscError:
    stage, folder = module.stage, Path(trainer.default_root_dir)
    lower = [f"learning_rate (now {stage.learning_rate:g})"]
    if stage.is_adversarial:
        lower.append(f"adversarial.learning_rate (now {stage.adversarial.learning_rate:g})")
    advice = f"lower {' or '.join(lower)}" + ("" if stage.grad_clip else ", or set grad_clip to 1, which is 0 now")
    kept = next((folder / file for file in (LAST, PREVIOUS) if (folder / file).exists()), None)
    rest = (
        f"{kept} was saved before that; the same command resumes from it" if kept else "no checkpoint was saved before"
    )
    return HscError(f"{name}: {what}: {advice}; {rest}")


def _word(value: float) -> str:
    return "NaN" if math.isnan(value) else "infinite"
