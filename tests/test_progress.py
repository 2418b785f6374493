"""Progress of long work: a bar on a terminal, a line now and then in a file."""

import io
import sys

import pytest
from rich.console import Console
from rich.live import Live

from hsc import progress as module
from hsc.progress import duration, progress, status


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that only the test advances."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_in_a_file_a_line_now_and_then_says_how_long_it_still_takes(clock: list[float], capsys) -> None:
    with progress(100, "faces") as advance:
        for _ in range(6):
            clock[0] += 3
            advance(5)
        clock[0] += 13
        advance(words="the last")
    assert capsys.readouterr().err.splitlines() == [
        "faces | 20/100 | 48 s left",
        "faces | 31/100 | the last | 69 s left",
    ]


@pytest.mark.parametrize("total", [0, 1])
def test_what_is_done_in_one_go_shows_nothing(total: int, clock: list[float], capsys) -> None:
    with progress(total, "faces") as advance:
        clock[0] += 60
        advance()
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_a_bar_that_is_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    with progress(4, "faces") as advance, status("waiting"):
        advance(4)
    shown = screen.getvalue()
    assert "faces" in shown
    assert "4/4" in shown
    assert "waiting" not in shown  # there is one display at a time
    assert shown.endswith("\x1b[2K")  # the line is cleared


def test_below_another_display_there_is_no_second_bar(
    monkeypatch: pytest.MonkeyPatch, clock: list[float], capsys
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    with Live("training", console=Console(stderr=True), auto_refresh=False), progress(4, "landmarks") as advance:
        clock[0] += 20
        advance(2)
    assert "landmarks | 2/4 | 20 s left" in screen.getvalue()


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (99.4, "99 s"), (100, "2 min"), (5940, "99 min"), (6000, "1 h 40 min")]
)
def test_durations_are_said_in_fitting_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words
