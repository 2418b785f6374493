"""Locks between processes, which end with the process that holds them, however it ends."""

import errno
import fcntl
import os
from pathlib import Path


def try_lock(path: Path) -> int | None:
    """An open file that holds the lock until it is closed or its process ends; None while another process holds it.

    On a file system without locks everyone gets it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            os.close(descriptor)
            return None
    return descriptor
