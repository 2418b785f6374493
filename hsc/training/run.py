"""A training run: the stages of an experiment, one after the other."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from hsc import config as configuration
from hsc.config import Config
from hsc.errors import HscError
from hsc.files import write_atomically
from hsc.training.loggers import run_loggers
from hsc.training.quiet import hush_lightning
from hsc.training.release import write_codec
from hsc.training.stage import data_module, run_stage
from hsc.training.weights import start_file


def train(files: Sequence[str | Path], overrides: Sequence[str] = ()) -> Path:
    """Run an experiment's stages, or resume them; returns the run folder.

    The folder holds `config.yaml`, `provenance/`, one folder a stage, and `codec.safetensors`, what `hsc encode --model` takes.
    """
    config = configuration.load(files, overrides)
    hush_lightning()
    folder = Path(config.runs) / config.name
    write_atomically(folder / "config.yaml", configuration.to_yaml(config).encode())
    weights: Path | None = None
    finished: dict[str, Path] = {}
    samples = 0
    for name in config.run:
        start = start_file(config, config.stages[name], finished, weights)
        with run_loggers(config, folder, name) as loggers:
            weights, samples = run_stage(config, name, folder / name, start, samples, loggers)
        finished[name] = weights
    assert weights is not None
    release(config, folder, weights)
    return folder


def release(config: Config, folder: Path, weights: Path) -> None:
    """The run's result as a file of its own: a codec where the last stage trained one, else the stage's weights."""
    last = config.stages[config.run[-1]]
    if last.module == "codec" and last.quantise != "none":
        write_codec(folder / "codec.safetensors", config, last, weights, data_module(config, config.run[-1]))
    else:
        try:
            shutil.copyfile(weights, folder / "weights.safetensors")
        except OSError as error:
            raise HscError(f"cannot write {folder}/weights.safetensors: {error.strerror}") from error
