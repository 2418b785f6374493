"""How far something long has got: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 10.0


def progress_lines(total: int, label: str) -> Callable[[int], None]:
    """A function to call with the number done; prints `label: done/total` to standard error every ten seconds."""
    started = told = time.monotonic()

    def tell(done: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= SECONDS_BETWEEN_LINES:
            told = now
            print(f"{label}: {done}/{total}, {now - started:.0f} s", file=sys.stderr, flush=True)

    return tell


@contextmanager
def progress(total: int, label: str) -> Iterator[Callable[[int], None]]:
    """What to call with the number of files just done: a bar on a terminal, a line now and then elsewhere."""
    if total <= 1:
        yield lambda count: None
        return
    if not sys.stderr.isatty():
        tell, done = progress_lines(total, label), 0

        def count_up(count: int) -> None:
            nonlocal done
            done += count
            tell(done)

        yield count_up
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TimeRemainingColumn

    columns = (SpinnerColumn(), *Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    # Result lines printed meanwhile go above the bar, unless they are redirected elsewhere.
    together = sys.stdout.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=together) as bar:
        task = bar.add_task(label, total=total)
        yield lambda count: bar.update(task, advance=count)
