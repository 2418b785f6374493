"""A stage is trained once: runs that share a `runs` folder take over what an equal stage of another run has left.

`RUNS/.stages/` holds, for each stage by its key and the code that trained it, where the finished one lies, and a lock
that its trainer holds, so that runs which need it at the same time wait for it instead of training it again.
"""

import errno
import fcntl
import functools
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from pytorch_lightning.utilities import rank_zero_only

import hsc
from hsc.files import write_atomically
from hsc.training.processes import must_meet_first

STORE = ".stages"
WEIGHTS = "weights.safetensors"
DONE = "done.json"
KEY = "key.json"
SECONDS_BETWEEN_LOOKS = 1.0
NOT_TRAINING = ("cli", "evaluation", "sweeps", "assets")

Answer = TypeVar("Answer")


@contextmanager
def claim(runs: Path, key: str, waiting: Callable[[], None]) -> Iterator[Path | None]:
    """The folder of a finished stage with this key; or None, and then the stage is the caller's to train in the block.

    While another run trains it, `waiting` is called once and this waits. Of several processes the first one decides.
    """
    entry = runs / STORE / hashlib.sha256(f"{key} {code_hash()}".encode()).hexdigest()[:40]
    if must_meet_first():
        yield None
        return
    lock: int | None = None

    def look() -> tuple[bool, str | None]:
        nonlocal lock
        lock = _try_lock(entry.with_suffix(".lock"))
        if lock is None:
            return False, None
        found = _finished(entry.with_suffix(".json"), key)
        return True, None if found is None else str(found)

    try:
        decided, found = _agree(look)
        if not decided:
            waiting()
        while not decided:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            decided, found = _agree(look)
        yield None if found is None else Path(found)
    finally:
        if lock is not None:
            os.close(lock)


@rank_zero_only
def publish(runs: Path, key: str, folder: Path) -> None:
    """Let other runs find the finished stage in `folder`."""
    entry = runs / STORE / hashlib.sha256(f"{key} {code_hash()}".encode()).hexdigest()[:40]
    write_atomically(entry.with_suffix(".json"), json.dumps({"folder": os.path.relpath(folder, entry.parent)}).encode())


def take_over(finished: Path, folder: Path, samples_seen: int) -> None:
    """Make `folder` a finished stage with the weights, the log and the metrics of `finished`.

    Every process waits until it is there.
    """
    _agree(lambda: _take_over(finished, folder, samples_seen))


def is_done(folder: Path, key: str) -> bool:
    """Whether the folder holds this very stage, finished."""
    return (folder / WEIGHTS).exists() and stage_state(folder / DONE) == key == stage_state(folder / KEY)


def stage_state(file: Path) -> str | None:
    """The key in a stage's `key.json` or `done.json`; None where there is none."""
    try:
        return json.loads(file.read_text())["key"]
    except (OSError, ValueError, KeyError):
        return None


@functools.cache
def code_hash() -> str:
    """Hash of hsc's own code, without the rooms that no training passes through."""
    root = Path(hsc.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        place = file.relative_to(root)
        if place.parts[0] not in NOT_TRAINING:
            digest.update(f"{place.as_posix()}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _take_over(finished: Path, folder: Path, samples_seen: int) -> None:
    done = json.loads((finished / DONE).read_text())
    write_atomically(folder / KEY, json.dumps({"key": done["key"]}).encode())
    _link(finished / WEIGHTS, folder / WEIGHTS)
    if (finished / "log").is_dir():
        shutil.copytree(finished / "log", folder / "log", dirs_exist_ok=True)
    origin = done.get("reused_from") or str(finished.resolve())
    done |= {"samples_seen": samples_seen, "reused_from": origin}
    write_atomically(folder / DONE, json.dumps(done).encode())


def _link(source: Path, target: Path) -> None:
    """A second name for the file, which costs no space; a copy where the file system knows no such thing."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        with open(source, "rb") as content:
            write_atomically(target, lambda file: shutil.copyfileobj(content, file))


def _finished(entry: Path, key: str) -> Path | None:
    try:
        folder = entry.parent / json.loads(entry.read_text())["folder"]
    except (OSError, ValueError, KeyError):
        return None
    return Path(os.path.normpath(folder)) if is_done(folder, key) else None


def _try_lock(path: Path) -> int | None:
    """An open file that holds the lock until it is closed or its process ends; None while another holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            os.close(descriptor)
            return None
        # A file system without locks: at worst two runs train the same stage.
    return descriptor


def _agree(decide: Callable[[], Answer]) -> Answer:
    """What the first process decides, in every process."""
    if not torch.distributed.is_initialized():
        return decide()
    box = [decide() if torch.distributed.get_rank() == 0 else None]
    torch.distributed.broadcast_object_list(box)
    return box[0]  # type: ignore[return-value]
