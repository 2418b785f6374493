"""End processes together with the one that started them, however it ends: otherwise they would wait for work for ever,
or be started a second time.

As a program, `python die_with_parent.py PARENT COMMAND...`, called by its path so that it imports nothing from hsc, it
runs a command that gets SIGTERM when PARENT dies.
"""

import ctypes
import os
import signal
import sys
from typing import Any

PR_SET_PDEATHSIG = 1


def die_with_parent(*_: object) -> None:
    """To be called first in a worker process, which is then killed when the process that started it dies.

    Arguments that are passed to worker initialisers are ignored.
    """
    import threading
    from multiprocessing import parent_process

    parent = parent_process()
    # To the kernel, a fork server's children are not children of the process that requested them.
    if sys.platform == "linux" and (parent is None or os.getppid() == parent.pid):
        _ask_for(signal.SIGKILL)
    elif parent is not None:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if parent is not None and not parent.is_alive():  # it died meanwhile
        os._exit(1)


def _watch(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _ask_for(number: signal.Signals) -> None:
    """Let the kernel send this process a signal when the thread that started it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        _ask_for(signal.SIGTERM)
    if os.getppid() != parent:  # it died before the signal was set up
        sys.exit(128 + signal.SIGTERM)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"hsc: cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
