"""A training run: the stages of an experiment, one after the other."""

import json
from collections.abc import Sequence
from pathlib import Path

from pytorch_lightning.utilities import rank_zero_only

from hsc import config as configuration
from hsc.config import Config
from hsc.files import write_atomically
from hsc.slurm import requeue_when_preempted
from hsc.training.loggers import run_loggers
from hsc.training.processes import check_devices
from hsc.training.quiet import hush_lightning
from hsc.training.release import write_codec, write_prior
from hsc.training.reuse import DONE
from hsc.training.separation import check_reporters
from hsc.training.stage import check_stage, data_module, run_stage
from hsc.training.trial import as_trial
from hsc.training.weights import start_file, with_model_of


def train(files: Sequence[str | Path], overrides: Sequence[str] = ()) -> Path:
    """Run an experiment's stages, or resume them; returns the run folder.

    The folder holds `config.yaml`, `provenance/`, one folder a stage, `prior.safetensors` and
    `codec.safetensors`, which `hsc encode --model` takes, and, when all is done, `done.json`.
    """
    requeue_when_preempted()
    hush_lightning()
    config = with_model_of(configuration.load(files, overrides))
    check_devices(config.device, config.devices)
    _check_stages(config)
    config, folder = as_trial(config)
    _begin(config, folder)
    weights: Path | None = None
    finished: dict[str, Path] = {}
    samples = 0
    for name in config.run:
        start = start_file(config.stages[name], finished, weights)
        with run_loggers(config, folder, name) as loggers:
            weights, samples = run_stage(config, name, folder / name, start, samples, loggers)
        finished[name] = weights
    _release(config, folder, finished)
    _finish(config, folder)
    return folder


@rank_zero_only
def _begin(config: Config, folder: Path) -> None:
    (folder / DONE).unlink(missing_ok=True)
    write_atomically(folder / "config.yaml", configuration.to_yaml(config).encode())


@rank_zero_only
def _finish(config: Config, folder: Path) -> None:
    """The marker by which a run, whatever its process's exit status, is known to be complete."""
    write_atomically(folder / DONE, json.dumps({"stages": config.run}).encode())


def _check_stages(config: Config) -> None:
    """Missing data, losses or starting weights are an error of now, not of the hour when they are needed."""
    check_reporters(config)
    for place, name in enumerate(config.run):
        check_stage(config, name)
        start_file(config.stages[name], dict.fromkeys(config.run[:place], Path()), None)


@rank_zero_only
def _release(config: Config, folder: Path, finished: dict[str, Path]) -> None:
    """The results as files of their own: the last stage without quantisation is a prior, the last with it a codec."""
    quantised = [
        name for name in config.run if config.stages[name].module == "codec" and config.stages[name].quantise != "none"
    ]
    unquantised = [name for name in config.run if name not in quantised]
    for names, write, file in ((unquantised, write_prior, "prior"), (quantised, write_codec, "codec")):
        if names:
            last = names[-1]
            data = data_module(config, last, landmarks=False)
            write(folder / f"{file}.safetensors", config, config.stages[last], finished[last], data)
