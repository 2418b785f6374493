"""How far something long has got, on standard error: a bar at the foot of a terminal, a line now and then elsewhere."""

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
WIDE = 110  # columns in which details fit beside the bar


class Advance(Protocol):
    def __call__(self, count: int = 1, words: str = "") -> None:
        """So many more are done; `words` say what is being done, where that changes."""


@contextmanager
def progress(total: int, label: str) -> Iterator[Advance]:
    """Yields what to call when some of the `total` are done. A total of one or none shows nothing."""
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
    """A sign of life on a terminal while something of unknown length is done; nothing elsewhere."""
    with display() if _on_terminal() else Display() as shown:
        shown.begin(what)
        yield


class Display:
    """Where progress is seen while the block lasts. This one shows nothing."""

    def __enter__(self) -> "Display":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        pass

    def begin(self, label: str, what: str = "", total: int | None = None) -> None:
        """From now on something of so many parts is done, or of a length that is not known."""

    def show(self, label: str, done: int, total: int, details: str = "", left: str = "", now: bool = False) -> None:
        """How far it is, and how long it will take. `now`: this is seen, however soon the next follows."""


class Bar(Display):
    """One bar that stays at the foot of the terminal, below what is printed meanwhile; on a narrow one with the details
    below it.
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
    """`faces | 20/100 | 48 s left`, every ten seconds; what is of unknown length when it begins."""

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
    """A bar where standard error is a terminal, otherwise lines. `console`: of standard error, if there is one."""
    if not _on_terminal():
        return Lines()
    from rich.console import Console

    return Bar(console or Console(stderr=True))


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


def number_of(count: int, noun: str) -> str:
    """
    >>> number_of(1, "quality"), number_of(2, "quality"), number_of(0, "face")
    ('1 quality', '2 qualities', '0 faces')
    """
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-1]}ies" if noun.endswith("y") else f"{count} {noun}s"


def _on_terminal() -> bool:
    # A bar that is there already has standard error: lines go above it, where a second bar would break it.
    return sys.stderr.isatty() and not hasattr(sys.stderr, "rich_proxied_file")
