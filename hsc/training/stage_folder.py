"""The content of a stage's folder, how a new result replaces a finished one, and how runs reuse each other's stages.

`RUN/STAGE` holds `key.json` (what is trained there), checkpoints and, when it is finished, `weights.safetensors` and
`done.json`. While it holds a finished stage, another one is trained beside it in `RUN/STAGE.new`; only when that is
finished does the earlier one become `RUN/STAGE.old1`, `.old2`, …

Runs that share a `runs` folder train a stage once. `RUNS/.stages/` records, for each stage by its
`StageIdentity.shared_key`, the location of the finished stage, and a lock that its trainer holds, so that other runs
which need it at the same time wait for it instead of training it again.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import torch
from pytorch_lightning.utilities import rank_zero_only

from hsc.errors import HscError
from hsc.files import read_json, try_lock, write_atomically
from hsc.training.loggers import LOG
from hsc.training.stage_identity import StageIdentity
from hsc.training.trainer import process_group_is_pending

WEIGHTS = "weights.safetensors"
DONE = "done.json"
KEY = "key.json"
NEW = ".new"
STORE = ".stages"
POLL_SECONDS = 1.0

Answer = TypeVar("Answer")


def is_done(folder: Path, key: str) -> bool:
    """Whether the folder holds the stage with this key, finished."""
    done, held = (read_json(folder / file).get("key") for file in (DONE, KEY))
    return (folder / WEIGHTS).exists() and done == key == held


def identity_in(folder: Path) -> StageIdentity | None:
    """The identity of the stage that is, or was, trained in the folder; None if unknown."""
    return StageIdentity.from_json(read_json(folder / KEY).get("identity"))


def write_identity(folder: Path, identity: StageIdentity) -> None:
    """Record what is trained in the folder."""
    record = {"key": identity.key, "identity": asdict(identity)}
    write_atomically(folder / KEY, json.dumps(record).encode())


def working_folder(folder: Path) -> Path:
    """Where to train the stage whose place is `folder`: there, or beside it if it holds a finished stage."""
    return folder.with_name(folder.name + NEW) if (folder / DONE).exists() else folder


def replace_result(work: Path, folder: Path) -> Path | None:
    """Make a finished stage in its working folder the result; returns where the earlier one is kept now."""
    if work == folder:
        return None
    aside = set_aside(folder)
    _rename(work, folder)
    return aside


def finish_replacement(folder: Path) -> None:
    """Complete the two renames of `replace_result` after a crash between them."""
    work = folder.with_name(folder.name + NEW)
    if not folder.exists() and (work / DONE).exists():
        _rename(work, folder)


def restore_earlier(folder: Path, key: str) -> Path | None:
    """Restore an earlier result with this key; returns where it was kept, None if there is none."""
    earlier = next((place for place in sorted(folder.parent.glob(f"{folder.name}.old*")) if is_done(place, key)), None)
    if earlier is not None:
        set_aside(folder)
        _rename(earlier, folder)
    return earlier


def set_aside(folder: Path) -> Path | None:
    """Rename a stage's folder to `STAGE.old1`, …; returns its new place, None if it contains nothing."""
    if not folder.exists() or not any(folder.iterdir()):
        return None
    number, name = 1, folder.name.removesuffix(NEW)
    while (aside := folder.with_name(f"{name}.old{number}")).exists():
        number += 1
    _rename(folder, aside)
    return aside


def _rename(folder: Path, target: Path) -> None:
    try:
        os.rename(folder, target)
    except OSError as error:
        raise HscError(f"cannot rename {folder} to {target.name}: {error.strerror}") from error


@contextmanager
def claim(runs: Path, identity: StageIdentity, waiting: Callable[[], None]) -> Iterator[Path | None]:
    """Yields the folder of a finished stage with this identity, or None: then the caller trains it in the block.

    While another run trains it, `waiting` is called once and this waits. Among several processes the first one decides.
    """
    entry = _entry(runs, identity)
    if process_group_is_pending():
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
        decided, found = from_first_process(look)
        if not decided:
            waiting()
        while not decided:
            time.sleep(POLL_SECONDS)
            decided, found = from_first_process(look)
        yield None if found is None else Path(found)
    finally:
        if lock is not None:
            os.close(lock)


@rank_zero_only
def publish(runs: Path, folder: Path) -> None:
    """Let other runs find the finished stage in `folder`, under the hash of the code that it was started with."""
    identity = identity_in(folder)
    assert identity is not None
    entry = _entry(runs, identity)
    write_atomically(entry.with_suffix(".json"), json.dumps({"folder": os.path.relpath(folder, entry.parent)}).encode())


def reuse(finished: Path, folder: Path, samples_seen: int) -> None:
    """Turn `folder` into a finished stage with the weights, the log and the metrics of `finished`.

    Every process waits until it is there.
    """
    from_first_process(lambda: _reuse(finished, folder, samples_seen))


def from_first_process(decide: Callable[[], Answer]) -> Answer:
    """Return the first process's decision in every process."""
    if not torch.distributed.is_initialized():
        return decide()
    box = [decide() if torch.distributed.get_rank() == 0 else None]
    torch.distributed.broadcast_object_list(box)
    return box[0]  # type: ignore[return-value]


def _reuse(finished: Path, folder: Path, samples_seen: int) -> None:
    done = json.loads((finished / DONE).read_text())
    identity = identity_in(finished)
    assert identity is not None
    write_identity(folder, identity)
    _link(finished / WEIGHTS, folder / WEIGHTS)
    copy_log(finished, folder)
    origin = done.get("reused_from") or str(finished.resolve())
    done |= {"samples_seen": samples_seen, "reused_from": origin}
    write_atomically(folder / DONE, json.dumps(done).encode())


def copy_log(source: Path, target: Path) -> None:
    """Continue the log of another folder, if there is one, in a stage's folder."""
    if (source / LOG).is_dir():
        shutil.copytree(source / LOG, target / LOG, dirs_exist_ok=True)


def _link(source: Path, target: Path) -> None:
    """A hard link to the file, which takes no space; a copy if the file system has no links."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        with open(source, "rb") as content:
            write_atomically(target, lambda file: shutil.copyfileobj(content, file))


def _entry(runs: Path, identity: StageIdentity) -> Path:
    return runs / STORE / identity.shared_key[:40]


def _finished(entry: Path, identity: StageIdentity) -> Path | None:
    folder = Path(os.path.normpath(entry.parent / str(read_json(entry).get("folder", ""))))
    return folder if is_done(folder, identity.key) and identity_in(folder) == identity else None
