"""One stage: skip it if it is done, resume it if it was interrupted, else train it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_only, rank_zero_warn

from hsc.callbacks import BestValueCallback
from hsc.config import Config, StageConfig
from hsc.data.module import FaceDataModule
from hsc.errors import HscError
from hsc.files import json_hash, read_json, write_atomically
from hsc.judges import Judge, load_judge, weights
from hsc.losses import Loss, load_losses, unavailable_losses
from hsc.modules.base import TrainableModule
from hsc.modules.codec import CodecModule
from hsc.modules.image_heads import ImageHeadModule
from hsc.modules.prior import PriorModule
from hsc.nets.build import full_size, image_size
from hsc.released import find_weights
from hsc.training.callbacks import EarlyStop, choose_selection, monitored, report_callbacks
from hsc.training.checkpoints import PREVIOUS, newest_checkpoint
from hsc.training.loggers import stage_log
from hsc.training.progress import RunOutput
from hsc.training.stage_folder import (
    DONE,
    WEIGHTS,
    claim,
    copy_log,
    finish_replacement,
    from_first_process,
    identity_in,
    is_done,
    publish,
    replace_result,
    restore_earlier,
    reuse,
    set_aside,
    working_folder,
    write_identity,
)
from hsc.training.stage_identity import StageIdentity, identify
from hsc.training.terminal import say
from hsc.training.trainer import build_trainer, device_type, process_group_is_pending
from hsc.training.weights import fingerprint, outside_start, save_stage, set_starting_weights

MODULES: dict[str, Callable[[Config, StageConfig, Mapping[str, Loss], int], TrainableModule]] = {
    "prior": PriorModule,
    "image_head": ImageHeadModule,
    "codec": CodecModule,
}


class StageResult(NamedTuple):
    """The result of a stage: its weights file and the images seen so far in the run."""

    weights: Path
    samples_seen: int


def run_stage(
    config: Config, name: str, folder: Path, start: Path | None, samples_before: int, output: RunOutput
) -> StageResult:
    """Train stage `name` in `folder` from the weights file `start`, or reuse it from a run that has trained it."""
    output.begin(name)
    stage = _Stage(config, name, folder, start, samples_before, output)
    rank_zero_only(finish_replacement)(folder)
    if is_done(folder, stage.identity.key):
        say(f"{name}: done already ({folder})")
    else:
        stage.run()
    return StageResult(folder / WEIGHTS, stage.samples_after(folder))


@dataclass(frozen=True)
class _Stage:
    """A stage of a run; `start`: its starting weights, `samples_before`: images seen in the run before it."""

    config: Config
    name: str
    folder: Path
    start: Path | None
    samples_before: int
    output: RunOutput

    @property
    def settings(self) -> StageConfig:
        return self.config.stages[self.name]

    def samples_after(self, finished: Path) -> int:
        """Images seen in the run after this stage, which the folder holds finished; it may have stopped early."""
        steps = read_json(finished / DONE).get("steps", self.settings.steps)
        return self.samples_before + steps * self.settings.batch_size

    @cached_property
    def data(self) -> FaceDataModule:
        return data_module(self.config, self.name)

    @cached_property
    def identity(self) -> StageIdentity:
        return stage_identity(self.config, self.name, fingerprint(self.start), self.data)

    def run(self) -> None:
        """Restore an earlier result, reuse another run's, or train."""
        runs, key = Path(self.config.runs), self.identity.key
        with claim(
            runs, self.identity, lambda: say(f"{self.name}: waiting for another run that is training it")
        ) as finished:
            if not process_group_is_pending():
                earlier = from_first_process(lambda: restore_earlier(self.folder, key))
                if earlier is not None:
                    say(f"{self.name}: done already ({self.folder}, which was kept in {earlier.name})")
                    return
            work = working_folder(self.folder)
            if finished is not None:
                _clear(work, "finished meanwhile in another run")
                reuse(finished, work, self.samples_after(finished))
                say(f"{self.name}: reused from {finished}")
            else:
                self._train(work)
            from_first_process(lambda: _replace_result(work, self.folder))
            if finished is None:
                publish(runs, self.folder)

    def _train(self, work: Path) -> None:
        """Train or resume in the working folder, until the done-marker is written."""
        config, name, stage = self.config, self.name, self.settings
        checkpoint, steps_before = self._checkpoint_to_resume(work) or (None, 0)
        self._begin(work, checkpoint)
        pl.seed_everything(config.seed, verbose=False)
        self.output.doing("preparing networks")
        module = MODULES[stage.module](config, stage, stage_losses(config, name), self.samples_before)
        if checkpoint is not None:
            say(f"{name}: resuming from {checkpoint} after {steps_before} of {stage.steps} steps")
        else:
            set_starting_weights(config, name, module, self.start, self.data)
        selection = choose_selection(config, name)
        best = BestValueCallback(monitored(config, name)) if selection is None else EarlyStop(work, *selection)
        loggers = [stage_log(work), *self.output.loggers]
        reports, shown = [*report_callbacks(config, name), best], self.output.callbacks(name)
        trainer = build_trainer(config, name, work, loggers, reports, shown)
        self.output.doing("loading images and judges")
        trainer.fit(module, self.data, ckpt_path=checkpoint, weights_only=True)
        steps, seen = module.step, module.samples_seen
        # Lightning validates neither between its intervals nor when it resumes with no steps left.
        stopped_early = stage.patience and steps < stage.steps
        if not stopped_early and (stage.steps % min(stage.validate_every, stage.steps) or steps_before == stage.steps):
            trainer.validate(module, self.data, verbose=False)
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if isinstance(best, EarlyStop):
            best.load_best(module)
            metrics = best.best or metrics
        if trainer.is_global_zero:
            save_stage(work / WEIGHTS, module, asdict(config.model))
            done = {"key": self.identity.key, "steps": steps, "samples_seen": seen, "metrics": metrics}
            write_atomically(work / DONE, json.dumps(done).encode())
            (work / PREVIOUS).unlink(missing_ok=True)
            if isinstance(best, EarlyStop):
                best.remove()
        trainer.strategy.barrier()

    def _checkpoint_to_resume(self, work: Path) -> tuple[Path, int] | None:
        """The checkpoint to continue from, and its steps: the stage's own, or of one with the same first steps."""
        for place in dict.fromkeys((work, self.folder)):
            held = identity_in(place)
            if held is not None and (held.key == self.identity.key or self.identity.continues(held)):
                found = newest_checkpoint(place)
                if found is not None and found[1] <= self.settings.steps:
                    return found
        return None

    @rank_zero_only
    def _begin(self, work: Path, checkpoint: Path | None) -> None:
        """Claim the working folder for this stage, and report what happens to its present content."""
        (self.folder.parent / DONE).unlink(missing_ok=True)
        held = identity_in(work)
        if held is not None and held.key == self.identity.key:
            return
        if checkpoint is None or checkpoint.parent != work:
            _clear(work, _what_is_new(self.identity, held))
        if work != self.folder:
            if checkpoint is None:
                why = _what_is_new(self.identity, identity_in(self.folder))
                say(f"{self.name}: {why}; {self.folder} is kept until the new one in {work.name} is finished")
            else:
                copy_log(self.folder, work)
        write_identity(work, self.identity)


def _what_is_new(identity: StageIdentity, earlier: StageIdentity | None) -> str:
    """Why the earlier training is not this stage, in words."""
    if earlier is None:
        return "trained by another version of hsc"
    changed = f"{identity.changes_from(earlier)} changed"
    if identity.prolongs(earlier):
        return f"{changed}, so it starts over: {identity.why_not_steady or 'its last checkpoint is gone'}"
    return changed


@rank_zero_only
def _clear(folder: Path, why: str) -> None:
    """Rename a folder whose unfinished stage is no longer wanted."""
    aside = set_aside(folder)
    if aside is not None:
        say(f"{folder.name}: {why}; the unfinished stage is kept in {aside}")


def _replace_result(work: Path, folder: Path) -> None:
    aside = replace_result(work, folder)
    if aside is not None:
        say(f"{folder.name}: the earlier result is kept in {aside}")


def stage_identity(config: Config, name: str, start: str, data: FaceDataModule) -> StageIdentity:
    """`start`: hash of the starting weights, without those of `init_full`."""
    if (full := config.stages[name].init_full) is not None:
        start = json_hash([start, fingerprint(find_weights(full))])
    return identify(config, name, stage_losses(config, name), data, choose_selection(config, name), start)


def check_stage(config: Config, name: str) -> str:
    """Raise HscError if the stage's images, losses or features do not exist.

    Returns its key, whatever it starts from.
    """
    for reason in missing_losses(config, name).values():
        if not config.allow_missing_losses:
            raise HscError(
                f"config: stages.{name}.losses: {reason}; or train without it, which gives a different codec: "
                "allow_missing_losses=true"
            )
        rank_zero_warn(f"{name}: training without a loss: {reason}")
    stage = config.stages[name]
    if stage.is_adversarial and stage.adversarial.discriminator == "projected":
        weights.locate("lite0")
    outside = outside_start(stage)
    start = fingerprint(outside) if outside is not None else stage.init or ""
    return stage_identity(config, name, start, data_module(config, name)).key


def data_module(config: Config, name: str, landmarks: bool = True) -> FaceDataModule:
    """The stage's faces: at the model's size for training (with landmarks if its losses use them), at their own size
    for validation."""
    stage, generator = config.stages[name], config.model.generator
    data = stage.data
    return FaceDataModule(
        path=data.path,
        size=image_size(config.model),
        train=data.train,
        validation=data.validation,
        batch_size=stage.batch_size,
        validation_limit=data.validation_limit,
        flips=data.flips,
        workers=data.workers,
        skip_broken=data.skip_broken,
        landmarker=_landmarker(config, name) if landmarks else None,
        seed=config.seed,
        accumulate=stage.accumulate,
        styles=(generator.num_rows, generator.w_dim) if stage.needs_styles else None,
        full_size=full_size(config.model) if stage.decode_with == "full" else 0,
    )


def stage_losses(config: Config, name: str) -> dict[str, Loss]:
    """The stage's losses with a weight and an available judge."""
    return load_losses(sorted(config.task_names([name]) - missing_losses(config, name).keys()))


def missing_losses(config: Config, name: str) -> dict[str, str]:
    """Losses of the stage that cannot be computed here → why, and what to do about it."""
    return unavailable_losses(sorted(config.task_names([name])))


def _landmarker(config: Config, name: str) -> Judge | None:
    """The judge, on the training device, whose landmarks of the originals the stage's losses use."""
    device = device_type(config.device)
    return next(
        (load_judge(loss.judge, device) for loss in stage_losses(config, name).values() if loss.needs_landmarks), None
    )
