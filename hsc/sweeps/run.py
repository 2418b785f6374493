"""`hsc sweep` here or on a Ray cluster: a sweep's folder, lock, trials and result."""

import json
import os
import secrets
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from hsc.errors import HscError
from hsc.files import claim_folder, refuse_overwriting, try_lock, write_atomically
from hsc.progress import number_of
from hsc.sweeps.command import checked
from hsc.sweeps.controller import Controller
from hsc.sweeps.launchers import Launcher, Processes, RayCluster, end_leftover
from hsc.sweeps.results import Result, read_outcome
from hsc.sweeps.search import grid_size, propose
from hsc.sweeps.sweep_file import Sweep, read_sweep
from hsc.sweeps.trials import SweepFolder, Trial, unfinished

DEFAULT_JOBS = {"local": 1, "wandb": 1, "ray": 0}  # 0: as many as fit
MOST_SHOWN = 20
OUTPUTS = ("sweep.*", "index.html", "trials*", "records", "logs", "rate_distortion_*", "best")


@dataclass
class Settings:
    """How a sweep is run; stored with it, so that it resumes in the same way.

    on: local or ray. jobs: trials at a time (0, on Ray: as many as fit). count: total trials, if fewer than the file's
    run_cap. retries: restarts of a trial that was killed. cpus, gpus: resources of each trial on Ray.
    """

    on: str = "local"
    jobs: int = 1
    count: int | None = None
    retries: int = 2
    cpus: float = 1
    gpus: float = 0
    address: str | None = None


def start(
    file: Path, folder: Path | None, settings: Settings, say: Callable[[str], None], force: bool = False
) -> SweepFolder:
    """Start a sweep in its own folder and run it to the end; returns that folder.

    Raises HscError if the folder already has a sweep or, without `force`, files that the sweep would replace.
    """
    sweep = read_sweep(file)
    check(sweep, settings)
    place = SweepFolder(folder or Path("runs/sweeps") / sweep.name)
    if (place.path / "sweep.json").exists():
        raise HscError(
            f"{place.path}: a sweep is there already; continue it with: hsc sweep --resume {place.path}, "
            "or name another folder with --dir"
        )
    refuse_overwriting([place.path / "sweep.yaml"], [file], lambda path: True)
    claim_folder(place.path, "sweep", OUTPUTS, force=force)
    write_atomically(place.path / "sweep.yaml", yaml.safe_dump(dict(sweep.content), sort_keys=False).encode())
    kept = {"identity": secrets.token_hex(4), "name": sweep.name, "settings": asdict(settings), "folder": os.getcwd()}
    write_atomically(place.path / "sweep.json", json.dumps(kept, indent=1).encode())
    return _run(place, say)


def resume(folder: Path, count: int | None, jobs: int | None, say: Callable[[str], None]) -> SweepFolder:
    """Resume a sweep whose controller has ended; `count` and `jobs` replace the values it was started with."""
    place = SweepFolder(folder)
    _, kept = opened(place)
    if kept["folder"] != os.getcwd():
        raise HscError(f"{folder}: was started in {kept['folder']}, where its files are; continue it there")
    if count is not None:
        kept["settings"]["count"] = count
    if jobs is not None:
        kept["settings"]["jobs"] = jobs
    write_atomically(place.path / "sweep.json", json.dumps(kept, indent=1).encode())
    return _run(place, say)


def opened(place: SweepFolder) -> tuple[Sweep, dict]:
    """The sweep in a folder, and the content of `sweep.json`. Raises HscError if there is none."""
    try:
        kept = json.loads((place.path / "sweep.json").read_text())
    except (OSError, ValueError) as error:
        raise HscError(f"{place.path}: contains no sweep; start one with: hsc sweep FILE --dir {place.path}") from error
    return read_sweep(place.path / "sweep.yaml"), kept


def check(sweep: Sweep, settings: Settings) -> None:
    """Raises HscError for an endless sweep, or one whose first trial could not work."""
    if sweep.run_cap is None and settings.count is None and grid_size(sweep) is None:
        raise HscError(f"sweep: method {sweep.method} never ends; give run_cap in the file, or --count N")
    first = propose(sweep, [])
    assert first is not None  # a sweep without values is rejected on reading
    checked(sweep, first)


def planned(sweep: Sweep, settings: Settings) -> int:
    """The number of trials to run."""
    return min(limit for limit in (sweep.run_cap, settings.count, grid_size(sweep)) if limit is not None)


def preview(sweep: Sweep, settings: Settings) -> list[str]:
    """The commands of the trials that do not depend on results: all of a grid, else the first ones.

    Raises HscError if one could not work.
    """
    check(sweep, settings)
    number = min(planned(sweep, settings), MOST_SHOWN if sweep.method != "bayes" else 1)
    known: list[Result] = []
    lines = []
    while len(known) < number and (values := propose(sweep, known)) is not None:
        lines.append(shlex.join(checked(sweep, values)))
        known.append(Result(Trial(len(known), values)))
    return [*lines, f"{number_of(planned(sweep, settings), 'trial')} by {sweep.method}; best {sweep.metric.name} wins"]


def _run(place: SweepFolder, say: Callable[[str], None]) -> SweepFolder:
    sweep, kept = opened(place)
    settings = Settings(**kept["settings"])
    with _alone(place):
        _recover(sweep, place)
        say(f"sweep {sweep.name}: {number_of(planned(sweep, settings), 'trial')} by {sweep.method}, in {place.path}")
        launcher = _launcher(settings)
        Controller(sweep, place, launcher, kept["identity"], planned(sweep, settings), settings.retries, say).run()
    return place


def _launcher(settings: Settings) -> Launcher:
    if settings.on == "ray":
        return RayCluster(settings.jobs, settings.cpus, settings.gpus, settings.address)
    return Processes(settings.jobs)


def _recover(sweep: Sweep, place: SweepFolder) -> None:
    """After a controller has died: end the trials it left running, and record those that have finished since."""
    for trial in unfinished(place.load()):
        if trial.state == "running":
            end_leftover(trial.attempts[-1].process)
            trial.attempts.pop()
        trial.state = "finished" if read_outcome(place.run(trial), sweep.metric).finished else "waiting"
        place.save(trial)


@contextmanager
def _alone(place: SweepFolder) -> Iterator[None]:
    """Lock the sweep: two controllers would start every trial twice."""
    lock = try_lock(place.path / "lock")
    if lock is None:
        raise HscError(f"{place.path}: another hsc sweep is running there")
    try:
        yield
    finally:
        os.close(lock)
