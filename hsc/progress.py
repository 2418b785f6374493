"""How far something long has got, on standard error: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

SECONDS_BETWEEN_LINES = 10.0


class Advance(Protocol):
    def __call__(self, count: int = 1, words: str = "") -> None:
        """So many more are done; `words` say what is being done, where that changes."""


@contextmanager
def progress(total: int, label: str) -> Iterator[Advance]:
    """Yields what to call when some of the `total` are done. A total of one or none shows nothing."""
    if total <= 1:
        yield lambda count=1, words="": None
    elif _on_terminal():
        yield from _bar(total, label)
    else:
        yield _lines(total, label)


@contextmanager
def status(what: str) -> Iterator[None]:
    """A sign of life on a terminal while something of unknown length is done; nothing elsewhere."""
    if not _on_terminal():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


def duration(seconds: float) -> str:
    """In the units that a person would use.

    >>> duration(40), duration(730), duration(11100)
    ('40 s', '12 min', '3 h 05 min')
    """
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def _on_terminal() -> bool:
    # A bar that is there already has standard error: lines go above it, where a second bar would break it.
    return sys.stderr.isatty() and not hasattr(sys.stderr, "rich_proxied_file")


def _bar(total: int, label: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TimeRemainingColumn

    columns = (SpinnerColumn(), *Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    # Result lines printed meanwhile go above the bar, unless they are redirected elsewhere.
    together = sys.stdout.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=together) as bar:
        task = bar.add_task(label, total=total)

        def advance(count: int = 1, words: str = "") -> None:
            bar.update(task, advance=count, description=f"{label}: {words}" if words else label)

        yield advance


def _lines(total: int, label: str) -> Advance:
    """`label: done/total, 4 min left`, every ten seconds."""
    started = said = time.monotonic()
    done = 0

    def advance(count: int = 1, words: str = "") -> None:
        nonlocal done, said
        done, now = done + count, time.monotonic()
        if done and now - said >= SECONDS_BETWEEN_LINES:
            said = now
            left = duration((now - started) / done * (total - done))
            what = f" ({words})" if words else ""
            print(f"{label}: {done}/{total}{what}, {left} left", file=sys.stderr, flush=True)

    return advance
