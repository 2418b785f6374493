"""Lightning's Trainer flags and callbacks as an experiment names them, and those that hsc needs for itself.

A resumed training ends with the very weights of one that was not cut off only if nobody else chooses its batches,
counts its steps, averages its weights or saves it. So what would is refused, with the field that says the same.
"""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning import callbacks, profilers

from hsc.config import Config
from hsc.config.schema import CallbackConfig
from hsc.config.validation import unknown
from hsc.errors import HscError
from hsc.files import sha256
from hsc.judges.base import import_class

OF_HSC = {
    "accelerator": "set device",
    "devices": "set devices",
    "num_nodes": "it is known from torchrun or SLURM; set devices to the number of processes on all machines",
    "precision": "set defaults.precision",
    "logger": "set logging.loggers",
    "callbacks": "list them under callbacks, beside trainer",
    "plugins": "hsc writes its checkpoints with one of its own",
    "default_root_dir": "set runs and name",
    "max_steps": "set defaults.steps",
    "min_steps": "set defaults.steps",
    "max_epochs": "a stage is as long as its steps: set defaults.steps",
    "min_epochs": "a stage is as long as its steps: set defaults.steps",
    "val_check_interval": "set defaults.validate_every",
    "check_val_every_n_epoch": "set defaults.validate_every",
    "log_every_n_steps": "set defaults.log_every",
    "accumulate_grad_batches": "hsc counts its steps by it; set defaults.accumulate",
    "gradient_clip_val": "set defaults.clip",
    "enable_checkpointing": "hsc saves every defaults.save_every steps; a ModelCheckpoint under callbacks saves more",
    "limit_train_batches": "hsc's sampler resumes exactly and has no epochs; set defaults.steps or defaults.data.train",
    "overfit_batches": "hsc's sampler resumes exactly and has no epochs; set defaults.data.train",
    "use_distributed_sampler": "hsc's sampler shares images out to the processes itself",
    "reload_dataloaders_every_n_epochs": "hsc's sampler resumes exactly and has no epochs",
    "barebones": "it leaves out what hsc needs; set fast_dev_run or profiler",
}
OTHERS_STEPS: Mapping[type, str] = {
    callbacks.GradientAccumulationScheduler: "hsc counts its steps by the batch; set defaults.accumulate",
    callbacks.BatchSizeFinder: "it changes the batches of hsc's sampler; set defaults.batch_size",
    callbacks.LearningRateFinder: "it takes steps that hsc does not count; set defaults.learning_rate",
    callbacks.WeightAveraging: "hsc averages the weights itself; set defaults.average_kimg",
    callbacks.StochasticWeightAveraging: "hsc averages the weights itself; set defaults.average_kimg",
}
WITHOUT_EFFECT = frozenset(
    {"profiler", "detect_anomaly", "enable_progress_bar", "enable_model_summary", "num_sanity_val_steps"}
)
PROFILERS = {
    "simple": profilers.SimpleProfiler,
    "advanced": profilers.AdvancedProfiler,
    "pytorch": profilers.PyTorchProfiler,
}
KNOWN = [name for name in inspect.signature(pl.Trainer).parameters if name not in OF_HSC]


def check_flags(config: Config) -> None:
    """Raise HscError for a flag or callback that there is not, or that hsc needs for itself."""
    for flag, value in config.trainer.items():
        if flag in OF_HSC:
            raise HscError(f"config: trainer.{flag}: hsc sets it: {OF_HSC[flag]}")
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
    """What may change the weights that a stage ends with, as JSON values; empty where nothing is set."""
    flags = {flag: value for flag, value in config.trainer.items() if flag not in WITHOUT_EFFECT}
    named = {}
    for entry in config.callbacks:
        source = inspect.getsourcefile(_class(entry.class_path))
        code = "" if source is None else sha256(Path(source))
        named[entry.class_path] = {"arguments": entry.init_args, "code": code}
    return ({"trainer": flags} if flags else {}) | ({"callbacks": named} if named else {})


def own_callbacks(config: Config) -> list[pl.Callback]:
    """The experiment's callbacks, made anew."""
    return [_made(entry) for entry in config.callbacks]


def shows_no_bar(config: Config) -> bool:
    """Whether the experiment shows its progress by itself, or wants none."""
    own = any(isinstance(callback, callbacks.ProgressBar) for callback in own_callbacks(config))
    return own or config.trainer.get("enable_progress_bar") is False


def is_trial_run(config: Config) -> bool:
    """Whether Lightning's fast_dev_run is set: a batch or a few of every stage, of which nothing is kept."""
    return bool(config.trainer.get("fast_dev_run"))


def _made(entry: CallbackConfig) -> pl.Callback:
    kind = _class(entry.class_path)
    for refused, why in OTHERS_STEPS.items():
        if issubclass(kind, refused):
            raise HscError(f"config: callbacks: {entry.class_path}: {why}")
    try:
        return kind(**entry.init_args)
    except Exception as error:  # whatever the class says of its arguments
        raise HscError(f"config: callbacks: {entry.class_path}: {' '.join(str(error).split())}") from error


def _class(path: str) -> type[pl.Callback]:
    module, _, name = path.rpartition(":" if ":" in path else ".")
    if not module or not name:
        raise HscError(f"config: callbacks: {path!r}: must be package.module.Class")
    kind = import_class(f"{module}:{name}", "callback")
    if not (isinstance(kind, type) and issubclass(kind, pl.Callback)):
        raise HscError(f"config: callbacks: {path}: is no pytorch_lightning.Callback")
    return kind
