"""Progress of long work: a bar on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 30.0


@contextmanager
def progress(total: int, unit: str) -> Iterator[Callable[[str], None]]:
    """Yields a function to call after each of `total` steps, with a few words on what was done. Writes to stderr."""
    if sys.stderr.isatty():
        yield from _bar(total)
    else:
        yield from _lines(total, unit)


def in_words(seconds: float) -> str:
    """A duration as people say it: to the second below a minute, to the minute below two hours."""
    for unit, length, least in (("hour", 3600, 2), ("minute", 60, 1), ("second", 1, 0)):
        if seconds >= least * length:
            count = max(round(seconds / length), 1)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    raise ValueError(f"{seconds} seconds")


def _bar(total: int) -> Iterator[Callable[[str], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda words: bar.update(task, advance=1, description=words)


def _lines(total: int, unit: str) -> Iterator[Callable[[str], None]]:
    done, spoken = 0, time.monotonic()

    def advance(words: str) -> None:
        nonlocal done, spoken
        done += 1
        if done == total or time.monotonic() - spoken > SECONDS_BETWEEN_LINES:
            spoken = time.monotonic()
            print(f"{words}: {done} of {total} {unit}", file=sys.stderr, flush=True)

    yield advance
