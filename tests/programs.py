"""Run hsc commands and scripts in the test's own process, and programs beside the tests in their own processes."""

import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from hsc.cli import main


def run_hsc(*words: object) -> int:
    """The exit status of `hsc WORDS`."""
    before = signal.getsignal(signal.SIGTERM)  # commands install their own handler
    with pytest.raises(SystemExit) as end:
        main(list(map(str, words)))
    signal.signal(signal.SIGTERM, before)
    return int(end.value.code or 0)


def wait_for(condition: Callable[[], object], what: str, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {what} after {seconds} s"
        time.sleep(0.02)


def definitions(script: str) -> SimpleNamespace:
    """The definitions in a script of the repository, such as `benchmarks/generator.py`."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / script)))


def run_program(program: Path, *arguments: object) -> str:
    """The standard output of a Python program, which must succeed within five minutes."""
    finished = subprocess.run(
        [sys.executable, program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout
