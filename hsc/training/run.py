"""A training run: the stages of an experiment, one after the other, in a folder that no other training uses."""

import json
import os
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from pytorch_lightning.utilities import rank_zero_only

from hsc import config as configuration
from hsc.config import Config
from hsc.data.sets import first_set
from hsc.errors import HscError
from hsc.files import json_hash, read_json, try_lock, write_atomically
from hsc.progress import duration, status
from hsc.released import CODEC, PRIOR
from hsc.slurm import requeue_when_preempted
from hsc.training.export import Export
from hsc.training.judge_independence import check_judge_independence, check_reporters
from hsc.training.loggers import WANDB_ID, check_loggers, run_loggers
from hsc.training.progress import RunOutput, run_output
from hsc.training.stage import check_stage, run_stage
from hsc.training.stage_folder import DONE, WEIGHTS
from hsc.training.terminal import Terminal, Verbosity, say
from hsc.training.trainer import check_devices, check_flags, die_with_first_process, is_fast_dev_run, shows_no_bar
from hsc.training.weights import start_file, with_model_of

LOCK = ".lock"
FAST_DEV_RUN = ".fast_dev_run"
FOLDER_VARIABLE = "HSC_RUN_FOLDER"
POLL_SECONDS = 0.5


def train(files: Sequence[str | Path], overrides: Sequence[str] = (), verbosity: Verbosity = "normal") -> Path:
    """Run an experiment's stages, or resume them; returns the run folder.

    The folder holds `config.yaml`, `provenance/`, one folder a stage, `prior.safetensors` and
    `codec.safetensors`, which `hsc encode --model` takes, and, when all is done, `done.json`.
    """
    requeue_when_preempted()
    die_with_first_process()
    began = time.monotonic()
    with Terminal(verbosity).in_use() as terminal:
        config = with_model_of(configuration.load(files, overrides))
        check_flags(config)
        check_loggers(config)
        check_devices(config.device, config.devices)
        with status("checking data and losses") if terminal.shows_news else nullcontext():
            experiment = _check_stages(config)
        config, folder = run_folder(config)
        with (
            run_output(config, terminal, shows_no_bar(config)) as output,
            run_lock(folder, experiment, lambda: say(f"waiting for the same training in {folder}")),
        ):
            (_fast_dev_run if is_fast_dev_run(config) else _train)(config, folder, output)
        for line in _summary(config, folder, time.monotonic() - began):
            say(line)
    return folder


def _fast_dev_run(config: Config, folder: Path, output: RunOutput) -> None:
    """Run a few batches of every stage, as Lightning's fast_dev_run does; nothing is kept."""
    place = folder / FAST_DEV_RUN
    rank_zero_only(shutil.rmtree)(place, ignore_errors=True)
    try:
        _train_stages(replace(config, runs=str(place)), place, output)
    finally:
        rank_zero_only(shutil.rmtree)(place, ignore_errors=True)


def _train(config: Config, folder: Path, output: RunOutput) -> None:
    _keep_config(config, folder)
    with run_loggers(config, folder) as output.loggers:
        finished = _train_stages(config, folder, output)
    output.doing("writing the results")
    _finish(config, folder, finished)


def _train_stages(config: Config, folder: Path, output: RunOutput) -> dict[str, Path]:
    """The weights file of each stage, by its name."""
    weights: Path | None = None
    finished: dict[str, Path] = {}
    samples = 0
    for name in config.run:
        start = start_file(config.stages[name], finished, weights)
        weights, samples = run_stage(config, name, folder / name, start, samples, output)
        finished[name] = weights
    return finished


def _summary(config: Config, folder: Path, seconds: float) -> list[str]:
    """The results of a run, and the command to view them."""
    lines = [f"finished after {duration(seconds)}"]
    if is_fast_dev_run(config):
        return [*lines, "fast_dev_run: every stage trains and validates; nothing is kept"]
    codec, prior = folder / CODEC, folder / PRIOR
    lines += [f"{file.stem}: {file}" for file in (codec, prior) if file.exists()]
    if codec.exists():
        data, out = first_set(config.stages[config.run[-1]].data.path), Path("results") / config.name
        lines.append(f"next: hsc evaluate {shlex.join([str(folder), '--data', data, '--out', str(out)])}")
    elif prior.exists():
        lines.append(f"next: hsc prior sample {shlex.join([str(prior), 'faces.png'])} --count 16")
    else:
        lines.append(f"weights, for `init` of a codec's stage: {folder / config.run[-1] / WEIGHTS}")
    return lines


@rank_zero_only
def _keep_config(config: Config, folder: Path) -> None:
    write_atomically(folder / "config.yaml", configuration.to_yaml(config).encode())


def _check_stages(config: Config) -> str:
    """Report missing data, losses or starting weights now, not hours later when they are needed.

    Returns a hash of the experiment: of everything that decides its weights.
    """
    check_reporters(config)
    check_judge_independence(config)
    stages = []
    for place, name in enumerate(config.run):
        start_file(config.stages[name], dict.fromkeys(config.run[:place], Path()), None)
        stages.append([name, check_stage(config, name)])
    return json_hash(stages)


@rank_zero_only
def _finish(config: Config, folder: Path, finished: dict[str, Path]) -> None:
    """Write the results as files of their own, and the marker that shows, whatever the process's exit status, that the
    run is complete. If both already exist for these weights, nothing is written again.

    Of several priors and codecs the last ones are written; a codec stage without quantisation produces neither.
    """
    exports = {
        CODEC if config.stages[name].quantises else PRIOR: Export(config, name, finished[name])
        for name in config.run
        if config.stages[name].quantises or config.stages[name].module != "codec"
    }
    done = {"stages": config.run, "files": {file: export.key for file, export in exports.items()}}
    if read_json(folder / DONE) == done and all((folder / file).exists() for file in exports):
        return
    for file, export in exports.items():
        export.write(folder / file)
    write_atomically(folder / DONE, json.dumps(done).encode())


def run_folder(config: Config) -> tuple[Config, Path]:
    """The run's folder, and its config with the name that distinguishes it from other trials.

    `hsc sweep` gives each trial a folder in HSC_RUN_FOLDER. A W&B agent gives only the names of sweep and run:
    `RUNS/NAME-SWEEP/RUN`. Outside of sweeps: `RUNS/NAME`, with the config unchanged.
    """
    if given := os.environ.get(FOLDER_VARIABLE):
        folder = Path(given)
    elif (sweep := os.environ.get("WANDB_SWEEP_ID")) and (run := os.environ.get("WANDB_RUN_ID")):
        folder = Path(config.runs) / f"{config.name}-{sweep}" / run
        if not (folder / WANDB_ID).exists():
            write_atomically(folder / WANDB_ID, run.encode())
    else:
        return config, Path(config.runs) / config.name
    return replace(config, name=f"{config.name}-{folder.name}"), folder


@contextmanager
def run_lock(folder: Path, experiment: str, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the run folder while the block trains in it; `experiment` identifies what is trained.

    If another process trains the same experiment, `waiting` is called once and this waits until that process ends, in
    whatever way. Raises HscError, before touching the folder, if it trains a different one. If a training has several
    processes, the first holds the lock for all.
    """
    if getattr(rank_zero_only, "rank", 0):
        yield
        return
    path = folder / LOCK
    lock, told, before = try_lock(path), False, None
    while lock is None:
        other = read_json(path).get("experiment")  # None before the holder has written it
        # Read twice: the first may be left over from a killed process, which the new holder is about to replace.
        if other not in (None, experiment) and other == before:
            raise HscError(
                f"another training is using {folder}: give this one a different name=, or wait until that one ends"
            )
        if other == experiment and not told:
            waiting()
            told = True
        before = other
        time.sleep(POLL_SECONDS)
        lock = try_lock(path)
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps({"experiment": experiment, "pid": os.getpid()}).encode(), 0)
        yield
        os.ftruncate(lock, 0)
    finally:
        os.close(lock)
