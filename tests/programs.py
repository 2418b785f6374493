"""Commands of hsc and scripts in the test's own process, and programs beside tests for what needs their own."""

import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from hsc.cli import main


def run_hsc(*words: object) -> int:
    """The exit status of `hsc WORDS`."""
    with pytest.raises(SystemExit) as end:
        main(list(map(str, words)))
    return int(end.value.code or 0)


def definitions(script: str) -> SimpleNamespace:
    """What a script of the repository defines, such as `benchmarks/generator.py`."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / script)))


def run_program(program: Path, *arguments: object) -> str:
    """What a Python program writes to standard output. It has five minutes, and must end well."""
    finished = subprocess.run(
        [sys.executable, program, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout
