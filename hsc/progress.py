"""Progress on standard error: a bar at the bottom of a terminal, otherwise a line from time to time."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

SECONDS_BETWEEN_LINES = 10.0
REFRESHES_A_SECOND = 4
WIDE = 110  # columns from which details fit beside the bar


class Advance(Protocol):
    def __call__(self, count: int = 1, words: str = "") -> None:
        """Report that `count` more are done; `words` describe the current work, if that changes."""


@contextmanager
def progress(total: int, label: str) -> Iterator[Advance]:
    """Yields a function to be called when some of the `total` are done. A total of one or zero shows nothing."""
    done, started = 0, time.monotonic()
    with display() if total > 1 else Display() as shown:

        def advance(count: int = 1, words: str = "") -> None:
            nonlocal done
            done += count
            left = (time.monotonic() - started) / done * (total - done) if done else 0.0
            shown.show(label, done, total, words, f"{duration(left)} left" if done else "")

        shown.begin(label, total=total)
        yield advance


@contextmanager
def status(what: str) -> Iterator[None]:
    """Show activity on a terminal during work of unknown length; nothing elsewhere."""
    with display() if _on_terminal() else Display() as shown:
        shown.begin(what)
        yield


class Display:
    """A display of progress for the duration of the block. This one shows nothing."""

    def __enter__(self) -> "Display":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        pass

    def begin(self, label: str, what: str = "", total: int | None = None) -> None:
        """Start work with `total` parts, or of unknown length."""

    def show(self, label: str, done: int, total: int, details: str = "", left: str = "", now: bool = False) -> None:
        """Show how much is done and the time left. `now`: show it immediately, even if the next call follows soon."""


class Bar(Display):
    """One bar that stays at the bottom of the terminal, below other output; on a narrow terminal the details are below
    the bar.
    """

    def __init__(self, console: "Console") -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
        from rich.table import Column
        from rich.text import Text

        class WithDetailsBelow(Progress):
            below = ""

            def get_renderables(self) -> "Iterable[RenderableType]":
                yield from super().get_renderables()
                if self.below:
                    yield Text(f"  {self.below}", no_wrap=True, overflow="ellipsis")

        self._console = console
        self._bar = WithDetailsBelow(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=4)),
            TextColumn("{task.fields[words]}", table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=console,
            refresh_per_second=REFRESHES_A_SECOND,
            transient=True,
            # Lines printed meanwhile go above the bar, unless they are redirected elsewhere.
            redirect_stdout=sys.stdout.isatty(),
            expand=True,
        )
        self._task = self._bar.add_task("", total=None, words="")

    def __enter__(self) -> "Bar":
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._bar.stop()

    def begin(self, label: str, what: str = "", total: int | None = None) -> None:
        self._bar.below = ""
        self._bar.reset(self._task, total=total, description=": ".join(filter(None, (label, what))), words="")

    def show(self, label: str, done: int, total: int, details: str = "", left: str = "", now: bool = False) -> None:
        wide = self._console.width >= WIDE
        beside = (f"{done}/{total}", details if wide else "", left)
        self._bar.below = "" if wide else details
        words = "  ".join(filter(None, beside))
        self._bar.update(self._task, completed=done, total=total, description=label, words=words, refresh=now)


class Lines(Display):
    """`faces | 20/100 | 48 s left`, every ten seconds; work of unknown length only when it starts."""

    def __init__(self) -> None:
        self._said = time.monotonic()

    def begin(self, label: str, what: str = "", total: int | None = None) -> None:
        if total is None:
            self._say(label, what)

    def show(self, label: str, done: int, total: int, details: str = "", left: str = "", now: bool = False) -> None:
        if now or time.monotonic() - self._said >= SECONDS_BETWEEN_LINES:
            self._say(label, f"{done}/{total}", details, left)

    def _say(self, *words: str) -> None:
        print(" | ".join(filter(None, words)), file=sys.stderr, flush=True)
        self._said = time.monotonic()


def display(console: "Console | None" = None) -> Display:
    """A bar if standard error is a terminal, otherwise lines. `console`: of standard error, if there is one."""
    if not _on_terminal():
        return Lines()
    from rich.console import Console

    return Bar(console or Console(stderr=True))


def duration(seconds: float) -> str:
    """A duration in convenient units.

    >>> duration(40), duration(730), duration(11100)
    ('40 s', '12 min', '3 h 05 min')
    """
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def number_of(count: int, noun: str) -> str:
    """
    >>> number_of(1, "quality"), number_of(2, "quality"), number_of(0, "face")
    ('1 quality', '2 qualities', '0 faces')
    """
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-1]}ies" if noun.endswith("y") else f"{count} {noun}s"


def _on_terminal() -> bool:
    # An existing bar owns standard error: lines go above it, whereas a second bar would break it.
    return sys.stderr.isatty() and not hasattr(sys.stderr, "rich_proxied_file")
