"""One stage: skip it when it is done, resume it when it was cut off, else train it."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_only, rank_zero_warn

from hsc import __version__
from hsc.callbacks.fid import distance_names
from hsc.config import Config, StageConfig, task_names
from hsc.data.module import FaceDataModule
from hsc.errors import HscError
from hsc.files import write_atomically
from hsc.judges import Judge, NotAvailable, load_judge
from hsc.losses import Loss, load_losses, unavailable_losses
from hsc.modules.codec import CodecModule
from hsc.modules.image_heads import ImageHeadModule
from hsc.modules.prior import PriorModule
from hsc.modules.teacher import Teacher
from hsc.modules.trainable import TrainableModule
from hsc.nets.build import image_size
from hsc.training.checkpoints import PREVIOUS, newest_checkpoint
from hsc.training.early import EarlyStop
from hsc.training.eigenfaces import holds_eigenfaces, start_as_eigenfaces
from hsc.training.reports import is_adversarial, report_callbacks
from hsc.training.reuse import DONE, KEY, WEIGHTS, claim, is_done, publish, stage_state, take_over
from hsc.training.trainer import build_trainer
from hsc.training.weights import fingerprint, load_start, save_stage

MODULES: dict[str, Callable[[Config, StageConfig, Mapping[str, Loss], int], TrainableModule]] = {
    "prior": PriorModule,
    "image_head": ImageHeadModule,
    "codec": CodecModule,
}

say = rank_zero_only(print)


class StageResult(NamedTuple):
    """What a stage leaves: its weights file and the images seen so far in the run."""

    weights: Path
    samples_seen: int


def run_stage(
    config: Config, name: str, folder: Path, start: Path | None, samples_before: int, loggers: list
) -> StageResult:
    """Train stage `name` in `folder` from the weights file `start`, or take it over from a run that has trained it."""
    stage = config.stages[name]
    samples_after = samples_before + stage.steps * stage.batch_size
    data = data_module(config, name)
    key = stage_key(config, name, start, data)
    result = StageResult(folder / WEIGHTS, samples_after)
    if is_done(folder, key):
        say(f"{name}: done already ({folder})")
        return result
    with claim(Path(config.runs), key, lambda: say(f"{name}: waits for another run that trains it")) as finished:
        if finished is not None:
            _clear(folder, "finished meanwhile in another run; what was unfinished is kept in")
            take_over(finished, folder, samples_after)
            say(f"{name}: reused from {finished}")
            return result
        _train(config, name, folder, key, start, samples_before, data, loggers)
        publish(Path(config.runs), key, folder)
    return result


def _train(
    config: Config,
    name: str,
    folder: Path,
    key: str,
    start: Path | None,
    samples_before: int,
    data: FaceDataModule,
    loggers: list,
) -> None:
    """Train or resume the stage to its done-marker."""
    stage = config.stages[name]
    known = stage_state(folder / KEY) == key
    if not known:
        _begin(folder, key)
    pl.seed_everything(config.seed, verbose=False)
    module = _build(config, name, samples_before)
    if isinstance(module, CodecModule) and stage.distillation:
        module.teacher = _teacher(config, name, start)
    early = _keeper_of_the_best(config, name, folder)
    trainer = build_trainer(config, name, stage, folder, loggers, report_callbacks(config, name), early)
    checkpoint, steps_before = (newest_checkpoint(folder) if known else None) or (None, 0)
    if checkpoint is not None:
        say(f"{name}: resumes from {checkpoint} after {steps_before} of {stage.steps} steps")
    else:
        _start(config, name, module, start, data)
    trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)
    # Lightning validates neither between its intervals nor when it resumes without a step left.
    if not stage.patience and (stage.steps % min(stage.validate_every, stage.steps) or steps_before == stage.steps):
        trainer.validate(module, data, verbose=False)
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    if early is not None:
        early.put_best(module)
        metrics = early.metrics or metrics
    if trainer.is_global_zero:
        save_stage(folder / WEIGHTS, module, asdict(config.model))
        done = {
            "key": key,
            "samples_seen": samples_before + stage.steps * stage.batch_size,
            "metrics": metrics,
        }
        write_atomically(folder / DONE, json.dumps(done).encode())
        (folder / PREVIOUS).unlink(missing_ok=True)
        if early is not None:
            early.remove()
    trainer.strategy.barrier()


def _teacher(config: Config, name: str, start: Path | None) -> Teacher:
    """What the stage starts from, also where it is resumed."""
    if start is None:
        raise HscError(f"config: stages.{name}.distillation: there are no starting weights to remember; set it to 0")
    codec = CodecModule(config, config.stages[name], {})
    load_start(codec, start)
    return Teacher(codec)


def _keeper_of_the_best(config: Config, name: str, folder: Path) -> EarlyStop | None:
    """What watches validation: for early stopping, or for the most lifelike faces that a prior dreams up."""
    stage = config.stages[name]
    if stage.patience:
        return EarlyStop(folder, stage.watch, stage.patience)
    if is_adversarial(stage) and config.judges.distribution != "none":
        try:
            _, distance = distance_names(load_judge(config.judges.distribution))
        except NotAvailable:
            return None
        return EarlyStop(folder, f"val/generated/{distance}", patience=0)
    return None


def _start(config: Config, name: str, module: TrainableModule, start: Path | None, data: FaceDataModule) -> None:
    """The weights that a stage's first step finds."""
    if start is not None:
        fresh = load_start(module, start)
        if config.stages[name].adversarial.freeze_blocks and "decoder.discriminator" in fresh:
            raise HscError(
                f"config: stages.{name}.adversarial.freeze_blocks: {start} holds no discriminator to keep; start from "
                "NVlabs' .pkl, rosinality's training checkpoint or a prior stage's weights.safetensors, or set it to 0"
            )
        say(f"{name}: starts from {start}" + (f"; new: {', '.join(fresh)}" if fresh else ""))
    if config.model.picture and not (start is not None and holds_eigenfaces(start)):
        say(f"{name}: latents start as principal components of the training faces")
        start_as_eigenfaces(module, data)


def check_stage(config: Config, name: str) -> None:
    """Raise HscError where the stage's images or losses do not exist."""
    unavailable_losses(_tasks(config, name))
    data_module(config, name, landmarks=False).faces("validation")


def data_module(config: Config, name: str, landmarks: bool = True) -> FaceDataModule:
    """The stage's faces, at the model's size for training (with landmarks where its losses want them) and their own
    for validation."""
    stage = config.stages[name]
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
        styles=stage.module == "image_head",
    )


def stage_key(config: Config, name: str, start: Path | None, data: FaceDataModule) -> str:
    """Hash of all that decides a stage's result: its config, the model, the data, the code, the starting weights."""
    stage = asdict(config.stages[name])
    stage.pop("init")  # its content counts, not its name
    decisive = {
        "stage": stage,
        "model": _decisive_model(config, name),
        "seed": config.seed,
        "devices": config.devices,
        "data": data.faces("train").content_key,
        "start": fingerprint(start),
        "version": __version__,
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _decisive_model(config: Config, name: str) -> dict:
    """Of the model's config what the stage uses: sweeps over λ or the entropy model do not train the prior again."""
    model = asdict(config.model)
    if config.stages[name].quantise == "none" or config.stages[name].module != "codec":
        model["lambdas"] = len(model["lambdas"])
        del model["entropy"]
    return model


def _build(config: Config, name: str, samples_before: int) -> TrainableModule:
    stage = config.stages[name]
    return MODULES[stage.module](config, stage, _losses(config, name), samples_before)


def _losses(config: Config, name: str) -> dict[str, Loss]:
    """The stage's losses; those whose judge is missing are left out, and said so."""
    tasks = _tasks(config, name)
    missing = unavailable_losses(tasks)
    for reason in missing.values():
        rank_zero_warn(f"{name}: trains without a loss: {reason}")
    return load_losses(sorted(tasks - missing.keys()))


def _tasks(config: Config, name: str) -> set[str]:
    """Names of the stage's losses."""
    return task_names(config, [name])


def _landmarker(config: Config, name: str) -> Judge | None:
    """The judge whose landmarks of the originals the stage's losses want."""
    return next((load_judge(loss.judge) for loss in _losses(config, name).values() if loss.needs_landmarks), None)


@rank_zero_only
def _begin(folder: Path, key: str) -> None:
    """A fresh stage folder under this key."""
    _clear(folder, "its config, data or starting weights changed; the earlier result is kept in")
    write_atomically(folder / KEY, json.dumps({"key": key}).encode())


@rank_zero_only
def _clear(folder: Path, why: str) -> None:
    """Rename a stage folder whose result is not wanted now: nothing that was made is lost."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    number = 1
    while (aside := folder.with_name(f"{folder.name}.old{number}")).exists():
        number += 1
    try:
        os.rename(folder, aside)
    except OSError as error:
        raise HscError(f"cannot rename {folder} to {aside.name}: {error.strerror}") from error
    say(f"{folder.name}: {why} {aside}")
