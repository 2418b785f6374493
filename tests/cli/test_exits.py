"""Exit status and standard error, whatever ends a command."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest
from pytorch_lightning.utilities.exceptions import SIGTERMException

from hsc.cli.exits import tidy_exits
from hsc.errors import HscError


@pytest.fixture(autouse=True)
def _own_handler(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HSC_DEBUG", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (HscError("the file is torn;\n get it again"), "hsc: the file is torn; get it again\n"),
        (OSError(errno.ENOSPC, "No space left on device", "a.hsc"), "hsc: the disk is full (a.hsc): make room"),
        (PermissionError(errno.EACCES, "Permission denied", "a.hsc"), "hsc: permission denied (a.hsc)\n"),
        (
            ZeroDivisionError("division by zero"),
            "hsc: unexpected ZeroDivisionError: division by zero (run again with HSC_D",
        ),
    ],
)
def test_failure_is_one_line_and_status_1(error: Exception, said: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended, tidy_exits():
        raise error
    assert ended.value.code == 1
    written = capsys.readouterr()
    assert written.err.startswith(said)
    assert written.err.count("\n") == 1
    assert written.out == ""


def test_debug_keeps_the_traceback(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HSC_DEBUG", "1")
    with pytest.raises(HscError, match="torn"), tidy_exits():
        raise HscError("the file is torn")


def test_ctrl_c_is_130_even_where_lightning_answers_it():
    def train() -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)

    with pytest.raises(SystemExit) as ended, tidy_exits():
        train()
    assert ended.value.code == 130


@pytest.mark.parametrize("end", [SIGTERMException(), SystemExit(143)])
def test_sigterm_is_143_whoever_answers_it(end: SystemExit):
    with pytest.raises(SystemExit) as ended, tidy_exits():
        raise end
    assert ended.value.code == 143


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_end_the_process_with_their_status(number: signal.Signals, status: int):
    program = (
        "import time\nfrom hsc.cli.exits import tidy_exits\nwith tidy_exits():\n print(1, flush=True)\n time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        time.sleep(0.1)
        process.send_signal(number)
        _, complaint = process.communicate(timeout=20)
    assert process.returncode == status
    assert b"Traceback" not in complaint


@pytest.mark.parametrize("first", ["os.kill(os.getpid(), signal.SIGTERM)", "sys.exit(143)"])
def test_a_second_sigterm_does_not_break_into_the_end(first: str):
    """It interrupts neither the clean-up that the first one started nor the interpreter's exit."""
    program = (
        "import atexit, os, signal, sys, time\nfrom hsc.cli.exits import tidy_exits\n"
        "atexit.register(lambda: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(0.1), print('left')))\n"
        f"with tidy_exits():\n {first}\n time.sleep(60)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stdout, ended.stderr) == (143, "left\n", "")


def test_a_reader_that_leaves_early_is_no_reason_to_complain():
    """As in `hsc … | head -1`, both when lines are still buffered and when they are being written."""
    for lines in (10, 100_000):
        program = f"from hsc.cli.exits import tidy_exits\nwith tidy_exits():\n for i in range({lines}): print(i)"
        with subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            process.stdout.close()
            complaint = process.stderr.read()
            process.wait(timeout=20)
        assert complaint == b""


def test_full_disk():
    """A file that cannot be written gives a one-line error; /dev/full stands for a full disk."""
    if not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    program = "from hsc.cli.exits import tidy_exits\nwith tidy_exits():\n print(1)"
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ended.returncode == 1
    assert ended.stderr.startswith("hsc: the disk is full")
    assert ended.stderr.count("\n") == 1
