"""Runs a command that is told to end (SIGTERM) when the process that started this one dies: nobody else would then
stop it, and whoever continues the sweep would start it a second time.

Called by its path, as `python tether.py PARENT COMMAND...`, so that it loads nothing of hsc.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before it could be watched
        sys.exit(128 + signal.SIGTERM)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"hsc: cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
