"""One run folder, one training."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pytorch_lightning.utilities import rank_zero_only

from hsc.errors import HscError
from hsc.files import try_lock

LOCK = ".lock"
SECONDS_BETWEEN_LOOKS = 0.5


@contextmanager
def alone(folder: Path, experiment: str, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the run folder while the block trains in it; `experiment` identifies what is trained.

    Where another process trains the same experiment, `waiting` is called once and this waits for it to end, however it
    ends. Raises HscError, before anything in the folder is touched, where it trains another one. Of several processes
    of a training the first holds the lock for all.
    """
    if getattr(rank_zero_only, "rank", 0):
        yield
        return
    path = folder / LOCK
    lock, told, before = try_lock(path), False, None
    while lock is None:
        other = _experiment_in(path)
        # Seen twice: at first it may be what a killed process has left there, which the new holder is about to replace.
        if other not in (None, experiment) and other == before:
            raise HscError(
                f"another training works in {folder}: give this one a name= of its own, or wait until that one ends"
            )
        if other == experiment and not told:
            waiting()
            told = True
        before = other
        time.sleep(SECONDS_BETWEEN_LOOKS)
        lock = try_lock(path)
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps({"experiment": experiment, "pid": os.getpid()}).encode(), 0)
        yield
        os.ftruncate(lock, 0)
    finally:
        os.close(lock)


def _experiment_in(lock: Path) -> str | None:
    """What the holder of the lock trains; None while it is about to say so."""
    try:
        return json.loads(lock.read_text())["experiment"]
    except (OSError, ValueError, KeyError):
        return None
