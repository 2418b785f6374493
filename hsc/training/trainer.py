"""A fresh Lightning Trainer for each stage: its flags and callbacks, its devices and processes.

An experiment may set flags and callbacks of its own. A resumed training ends with exactly the weights of an
uninterrupted one only if nothing else chooses its batches, counts its steps, averages its weights or saves it. Flags
and callbacks that would do so are refused, with a hint to the field to use instead.
"""

import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from pytorch_lightning import callbacks as lightning_callbacks
from pytorch_lightning import profilers
from pytorch_lightning.callbacks import Checkpoint, ProgressBar
from pytorch_lightning.plugins.environments import SLURMEnvironment
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from hsc.config import Config
from hsc.config.schema import CallbackConfig
from hsc.config.validation import unknown
from hsc.devices import computes_bfloat16, find_device
from hsc.die_with_parent import die_with_parent
from hsc.errors import HscError
from hsc.files import sha256
from hsc.judges.base import import_class
from hsc.training.callbacks import CompiledNetworks, HalfLifeAveraging, OwnMetrics, TrainingCurves
from hsc.training.checkpoints import LAST, CatchUpValidation, SafeCheckpoints, StageCheckpoints

SET_BY_HSC = {
    "accelerator": "set device",
    "devices": "set devices",
    "num_nodes": "it is known from torchrun or SLURM; set devices to the number of processes on all machines",
    "precision": "set defaults.precision",
    "logger": "set logging.loggers",
    "callbacks": "list them under callbacks, beside trainer",
    "plugins": "hsc writes checkpoints itself",
    "default_root_dir": "set runs and name",
    "max_steps": "set defaults.steps",
    "min_steps": "set defaults.steps",
    "max_time": "a stage is as long as its steps: set defaults.steps; one that is stopped resumes where it was",
    "max_epochs": "a stage is as long as its steps: set defaults.steps",
    "min_epochs": "a stage is as long as its steps: set defaults.steps",
    "val_check_interval": "set defaults.validate_every",
    "check_val_every_n_epoch": "set defaults.validate_every",
    "log_every_n_steps": "set defaults.log_every",
    "accumulate_grad_batches": "hsc counts its steps by it; set defaults.accumulate",
    "gradient_clip_val": "set defaults.grad_clip",
    "enable_checkpointing": "hsc saves every defaults.save_every steps; a ModelCheckpoint under callbacks saves more",
    "limit_train_batches": "hsc's sampler resumes exactly and has no epochs; set defaults.steps or defaults.data.train",
    "overfit_batches": "hsc's sampler resumes exactly and has no epochs; set defaults.data.train",
    "use_distributed_sampler": "hsc's sampler shares images out to the processes itself",
    "reload_dataloaders_every_n_epochs": "hsc's sampler resumes exactly and has no epochs",
    "barebones": "it disables parts that hsc needs; set fast_dev_run or profiler",
}
REFUSED_CALLBACKS: Mapping[type, str] = {
    lightning_callbacks.GradientAccumulationScheduler: "hsc counts its steps by the batch; set defaults.accumulate",
    lightning_callbacks.BatchSizeFinder: "it changes the batches of hsc's sampler; set defaults.batch_size",
    lightning_callbacks.LearningRateFinder: "it takes steps that hsc does not count; set defaults.learning_rate",
    lightning_callbacks.Timer: "a stage is as long as its steps; one that is stopped resumes where it was",
    lightning_callbacks.WeightAveraging: "hsc averages the weights itself; set defaults.ema_kimg",
    lightning_callbacks.StochasticWeightAveraging: "hsc averages the weights itself; set defaults.ema_kimg",
}
WITHOUT_EFFECT = frozenset(
    {"profiler", "detect_anomaly", "enable_progress_bar", "enable_model_summary", "num_sanity_val_steps"}
)
PROFILERS = {
    "simple": profilers.SimpleProfiler,
    "advanced": profilers.AdvancedProfiler,
    "pytorch": profilers.PyTorchProfiler,
}
KNOWN = [name for name in inspect.signature(pl.Trainer).parameters if name not in SET_BY_HSC]


def build_trainer(
    config: Config,
    name: str,
    folder: Path,
    loggers: list,
    reports: list[pl.Callback],
    shown: list[pl.Callback],
) -> pl.Trainer:
    """`reports`: callbacks that measure, the one that compares validations last. `shown`: callbacks that display logged
    values."""
    stage = config.stages[name]
    # The order matters: reports need the averaged weights in place, early stopping needs the reported values, and
    # checkpoints store its count.
    callbacks: list[pl.Callback] = [
        HalfLifeAveraging(stage.ema_kimg * 1000, stage.batch_size),
        *reports,
        TrainingCurves(name),
        OwnMetrics(folder),
        *own_callbacks(config),
        *(callback for callback in shown if not (isinstance(callback, ProgressBar) and shows_no_bar(config))),
        StageCheckpoints(name, folder / LAST),
        CatchUpValidation(),
        *([CompiledNetworks()] if stage.compile else []),
    ]
    players = 2 if stage.is_adversarial else 1  # Lightning counts the steps of each
    automatic: dict[str, Any] = {}
    if not stage.is_adversarial:
        automatic = {"gradient_clip_val": stage.grad_clip or None, "accumulate_grad_batches": stage.accumulate}
    started_by = launcher()
    nodes = 1 if started_by is None else started_by.nodes
    # Stages of the first layers, and the two halves of adversarial training, leave parameters without gradients.
    strategy = "ddp_find_unused_parameters_true" if config.devices > 1 else "auto"
    required: dict[str, Any] = dict(
        accelerator=config.device,
        devices=config.devices // nodes,
        num_nodes=nodes,
        precision=resolve_precision(stage.precision, config.device),
        max_steps=stage.steps * players,
        val_check_interval=min(stage.validate_every, stage.steps) * stage.accumulate,
        check_val_every_n_epoch=None,
        use_distributed_sampler=False,
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),  # StageCheckpoints saves
        logger=loggers,
        callbacks=callbacks,
        plugins=[SafeCheckpoints()],
        default_root_dir=folder,
        **automatic,
    )
    defaults: dict[str, Any] = {
        "strategy": strategy,
        "num_sanity_val_steps": 0,
        "enable_progress_bar": any(isinstance(callback, ProgressBar) for callback in callbacks),
        "enable_model_summary": False,
    }
    try:
        return pl.Trainer(**(defaults | trainer_flags(config, folder) | required))
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise HscError(f"config: trainer: {' '.join(str(error).split())}") from error


def device_type(asked: str) -> str:
    """cpu, cuda or mps: the device that Lightning's accelerator `asked` uses here."""
    return find_device("auto" if asked == "gpu" else asked).type


def resolve_precision(asked: str, device: str) -> str:
    """The meaning of "auto" on this machine; any other precision unchanged."""
    if asked != "auto":
        return asked
    return "bf16-mixed" if computes_bfloat16(device_type(device)) else "32-true"


def check_flags(config: Config) -> None:
    """Raise HscError for a flag or callback that does not exist, or that hsc reserves for itself."""
    for flag, value in config.trainer.items():
        if flag in SET_BY_HSC:
            raise HscError(f"config: trainer.{flag}: hsc sets it: {SET_BY_HSC[flag]}")
        if flag not in KNOWN:
            raise HscError(f"config: {unknown('Trainer flag', flag, KNOWN, ['trainer'])}")
        if flag == "profiler" and value is not None and value not in PROFILERS:
            raise HscError(f"config: trainer.profiler: must be one of {', '.join(PROFILERS)} (not {value!r})")
    own_callbacks(config)


def trainer_flags(config: Config, folder: Path) -> dict[str, Any]:
    """Keyword arguments of the Trainer. A profiler writes into the stage's folder."""
    flags = dict(config.trainer)
    if profiler := flags.get("profiler"):
        flags["profiler"] = PROFILERS[profiler](dirpath=folder, filename="profile")
    return flags


def decisive_flags(config: Config) -> dict[str, Any]:
    """The flags and callbacks that may change a stage's final weights, as JSON values; empty if none is set."""
    flags = {flag: value for flag, value in config.trainer.items() if flag not in WITHOUT_EFFECT}
    callbacks = []
    for entry in config.callbacks:
        source = inspect.getsourcefile(_class(entry.class_path))
        code = "" if source is None else sha256(Path(source))
        callbacks.append({"class": entry.class_path, "arguments": entry.init_args, "code": code})
    return ({"trainer": flags} if flags else {}) | ({"callbacks": callbacks} if callbacks else {})


def own_callbacks(config: Config) -> list[pl.Callback]:
    """Fresh instances of the experiment's callbacks."""
    return [_made(entry) for entry in config.callbacks]


def shows_no_bar(config: Config) -> bool:
    """Whether the experiment has a progress bar of its own, or wants none."""
    own = any(isinstance(callback, lightning_callbacks.ProgressBar) for callback in own_callbacks(config))
    return own or config.trainer.get("enable_progress_bar") is False


def is_fast_dev_run(config: Config) -> bool:
    """Whether Lightning's fast_dev_run is set: one or a few batches of every stage, and nothing is kept."""
    return bool(config.trainer.get("fast_dev_run"))


def _made(entry: CallbackConfig) -> pl.Callback:
    kind = _class(entry.class_path)
    for refused, why in REFUSED_CALLBACKS.items():
        if issubclass(kind, refused):
            raise HscError(f"config: callbacks: {entry.class_path}: {why}")
    try:
        return kind(**entry.init_args)
    except Exception as error:  # whatever the class raises about its arguments
        raise HscError(f"config: callbacks: {entry.class_path}: {' '.join(str(error).split())}") from error


def _class(path: str) -> type[pl.Callback]:
    module, _, name = path.rpartition(":" if ":" in path else ".")
    if not module or not name:
        raise HscError(f"config: callbacks: {path!r}: must be package.module.Class")
    kind = import_class(f"{module}:{name}", "callback")
    if not (isinstance(kind, type) and issubclass(kind, pl.Callback)):
        raise HscError(f"config: callbacks: {path}: is not a pytorch_lightning.Callback")
    return kind


class Launcher(NamedTuple):
    """What started the processes, their total number, and the number of machines."""

    name: str
    processes: int
    nodes: int


def launcher() -> Launcher | None:
    """None if this process was started alone, and Lightning starts the others."""
    environment = os.environ
    if torch.distributed.is_torchelastic_launched():
        return Launcher("torchrun", int(environment["WORLD_SIZE"]), int(environment["GROUP_WORLD_SIZE"]))
    if SLURMEnvironment.detect():
        return Launcher("srun", int(environment["SLURM_NTASKS"]), int(environment.get("SLURM_NNODES", 1)))
    return None


def die_with_first_process() -> None:
    """In a process that Lightning started beside the first: end when that one ends, for whatever reason."""
    if launcher() is None and "LOCAL_RANK" in os.environ:
        die_with_parent()


def check_devices(device: str, devices: int) -> None:
    """Raise HscError if this machine has no `device` or too few for `devices`, or if the number of processes differs
    from `devices`: they would then train independently.
    """
    started_by = launcher()
    there = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    there["gpu"] = max(there.values())
    here = devices if started_by is None else devices // started_by.nodes
    if device == "auto" and there["gpu"]:
        device = "gpu"
    if device in there and there[device] < here:
        what = f"has {there[device]}" if there[device] else "has none"
        raise HscError(
            f"config: device: {device}: this machine {what}, and devices is {devices}; give device=cpu or auto"
        )
    if started_by is not None and started_by.processes != devices:
        raise HscError(
            f"config: devices is {devices}, but {started_by.name} runs {started_by.processes} processes; "
            f"give devices={started_by.processes}, or start {devices}"
        )


def process_group_is_pending() -> bool:
    """Whether there are processes that are not connected yet: before the first stage that torchrun or SLURM trains, and
    in processes that Lightning has started to train a stage together with the first one.
    """
    started_by = launcher()
    processes = started_by.processes if started_by is not None else int(os.environ.get("WORLD_SIZE", 1))
    return processes > 1 and not torch.distributed.is_initialized()
