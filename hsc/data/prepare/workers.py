"""Photographs through worker processes, answered in order, with a few at a time in memory."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from hsc.data.prepare.aligner import Aligned, Aligner
from hsc.data.prepare.photographs import Photograph
from hsc.data.prepare.settings import Settings
from hsc.die_with_parent import die_with_parent
from hsc.errors import HscError

AHEAD = 2  # photographs a worker has waiting, so that none is idle while the disk is read

_aligner: Aligner | None = None


def align_all(photographs: Iterable[Photograph], settings: Settings, workers: int) -> Iterator[Aligned]:
    """Every photograph's faces, in order. One worker is this process itself."""
    if workers == 1:
        aligner = Aligner()
        yield from (aligner.photograph(photograph, settings) for photograph in photographs)
        return
    # Not forked: dlib and torch have threads by now. dlib holds Python's lock, so threads would not help.
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin) as pool:
        running: deque[Future[Aligned]] = deque()
        try:
            for photograph in photographs:
                running.append(pool.submit(_work, photograph, settings))
                if len(running) >= AHEAD * workers:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        except BrokenProcessPool as error:
            raise HscError("a worker process died (out of memory?): run again with fewer --workers") from error
        finally:
            pool.shutdown(cancel_futures=True)


def _begin() -> None:
    global _aligner
    die_with_parent()
    _aligner = Aligner()


def _work(photograph: Photograph, settings: Settings) -> Aligned:
    assert _aligner is not None
    return _aligner.photograph(photograph, settings)
