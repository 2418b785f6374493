"""The command line, called as the shell calls it but in this process."""

import signal
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from hsc.cli import main


class Ended(NamedTuple):
    """How a command ended: its exit status and what it wrote."""

    status: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Ended]]:
    """`run("encode", path, "--bytes", 80)` → Ended."""
    monkeypatch.delenv("HSC_DEBUG", raising=False)
    before = signal.getsignal(signal.SIGTERM)

    def call(*arguments: object) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        written = capsys.readouterr()
        return Ended(int(ended.value.code or 0), written.out, written.err)

    yield call
    signal.signal(signal.SIGTERM, before)
