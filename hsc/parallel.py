"""Work by threads or processes, answered in order, with no more of it in memory than is under way."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def in_order(pool: Executor, work: Callable[[Item], Answer], items: Iterable[Item], at_once: int) -> Iterator[Answer]:
    """`work(item)` of each item, at most so many at once; items are taken as there is room for them.

    The pool is shut down at the end, however that comes; what has not begun by then never does.
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
