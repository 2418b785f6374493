"""A stage is trained once: runs that share a `runs` folder take over what an equal stage of another run has left.

`RUNS/.stages/` holds, for each stage by its `StageIdentity.shared_key`, where the finished one lies, and a lock that
its trainer holds, so that runs which need it at the same time wait for it instead of training it again.
"""

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

from hsc.files import try_lock, write_atomically
from hsc.training.identity import StageIdentity
from hsc.training.processes import must_meet_first
from hsc.training.stage_folder import DONE, WEIGHTS, identity_in, is_done, write_identity

STORE = ".stages"
SECONDS_BETWEEN_LOOKS = 1.0

Answer = TypeVar("Answer")


@contextmanager
def claim(runs: Path, identity: StageIdentity, waiting: Callable[[], None]) -> Iterator[Path | None]:
    """The folder of a finished stage of this identity; or None: then the stage is the caller's to train in the block.

    While another run trains it, `waiting` is called once and this waits. Of several processes the first one decides.
    """
    entry = _entry(runs, identity)
    if must_meet_first():
        yield None
        return
    lock: int | None = None

    def look() -> tuple[bool, str | None]:
        nonlocal lock
        lock = try_lock(entry.with_suffix(".lock"))
        if lock is None:
            return False, None
        found = _finished(entry.with_suffix(".json"), identity)
        return True, None if found is None else str(found)

    try:
        decided, found = agree(look)
        if not decided:
            waiting()
        while not decided:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            decided, found = agree(look)
        yield None if found is None else Path(found)
    finally:
        if lock is not None:
            os.close(lock)


@rank_zero_only
def publish(runs: Path, folder: Path) -> None:
    """Let other runs find the finished stage in `folder`, by the code that it was begun with."""
    identity = identity_in(folder)
    assert identity is not None
    entry = _entry(runs, identity)
    write_atomically(entry.with_suffix(".json"), json.dumps({"folder": os.path.relpath(folder, entry.parent)}).encode())


def take_over(finished: Path, folder: Path, samples_seen: int) -> None:
    """Make `folder` a finished stage with the weights, the log and the metrics of `finished`.

    Every process waits until it is there.
    """
    agree(lambda: _take_over(finished, folder, samples_seen))


def agree(decide: Callable[[], Answer]) -> Answer:
    """What the first process decides, in every process."""
    if not torch.distributed.is_initialized():
        return decide()
    box = [decide() if torch.distributed.get_rank() == 0 else None]
    torch.distributed.broadcast_object_list(box)
    return box[0]  # type: ignore[return-value]


def _take_over(finished: Path, folder: Path, samples_seen: int) -> None:
    done = json.loads((finished / DONE).read_text())
    identity = identity_in(finished)
    assert identity is not None
    write_identity(folder, identity)
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


def _entry(runs: Path, identity: StageIdentity) -> Path:
    return runs / STORE / identity.shared_key[:40]


def _finished(entry: Path, identity: StageIdentity) -> Path | None:
    try:
        folder = Path(os.path.normpath(entry.parent / json.loads(entry.read_text())["folder"]))
    except (OSError, ValueError, KeyError):
        return None
    return folder if is_done(folder, identity.key) and identity_in(folder) == identity else None
