"""A line now and then while something long is computed."""

import sys
import time
from collections.abc import Callable

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
