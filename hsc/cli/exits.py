"""How the command ends: 0 done, 1 failed (one line on standard error), 2 wrong usage, 130 Ctrl-C, 143 SIGTERM."""

import codecs
import errno
import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from hsc.errors import HscError

FAILED, INTERRUPTED, TERMINATED = 1, 128 + signal.SIGINT, 128 + signal.SIGTERM


@contextmanager
def tidy_exits() -> Iterator[None]:
    """Turn any end of the block into an exit status and at most one line on standard error.

    With HSC_DEBUG=1 failures keep their traceback. Wrong usage (2) is handled by the argument parser.
    """
    signal.signal(signal.SIGTERM, _terminate)
    _print_anything()
    try:
        try:
            yield
        finally:
            # Here rather than at interpreter exit, where a closed pipe could no longer be handled quietly.
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except SystemExit as ended:
        # Lightning ends training with status 1 on Ctrl-C and, between two steps, with 0 on SIGTERM.
        if isinstance(ended.__context__, KeyboardInterrupt):
            sys.exit(INTERRUPTED)
        if type(ended).__name__ == "SIGTERMException" or ended.code == TERMINATED:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            sys.exit(TERMINATED)
        raise
    except BrokenPipeError:
        # The reader of our output has closed the pipe.
        _drop_unwritable_output()
        sys.exit(FAILED)
    except Exception as error:
        if os.environ.get("HSC_DEBUG") == "1":
            raise
        _drop_unwritable_output()
        _fail(_explain(error))


def warn(message: str) -> None:
    """Print one line on standard error."""
    print(f"hsc: {' '.join(message.split())}", file=sys.stderr)


def _drop_unwritable_output() -> None:
    """Discard pending standard output, since the interpreter would fail again on writing it at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_anything() -> None:
    """Replace what streams cannot encode: file names may have bytes that are not UTF-8 or letters not in the locale."""
    codecs.register_error("hsc.replace", _replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="hsc.replace")


def _replace(error: UnicodeError) -> tuple[bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "\ufffd".encode(error.encoding, "replace"), error.end


def _explain(error: Exception) -> str:
    if isinstance(error, HscError):
        return str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"the disk is full{_where(error)}: make room or choose another folder"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror.lower()}{_where(error)}"
    return f"unexpected {type(error).__name__}: {error} (run again with HSC_DEBUG=1 for the traceback)"


def _where(error: OSError) -> str:
    return f" ({error.filename})" if error.filename else ""


def _fail(message: str) -> NoReturn:
    warn(message)
    sys.exit(FAILED)


def _terminate(signum: int, frame: FrameType | None) -> None:
    # Schedulers send it more than once; a second one would interrupt the handling of the first.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(TERMINATED)
