"""Work in threads or processes, with results in order, and only the items in progress in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def in_order(pool: Executor, work: Callable[[Item], Answer], items: Iterable[Item], at_once: int) -> Iterator[Answer]:
    """`work(item)` for each item, with a limit on concurrent items; items are consumed as workers become free.

    The pool is always shut down at the end; work that has not started by then is cancelled.
    """
    running: deque[Future[Answer]] = deque()
    try:
        for item in items:
            running.append(pool.submit(work, item))
            if len(running) >= at_once:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
