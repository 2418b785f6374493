"""Results come in order, and no more items are taken than are being worked on."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hsc.parallel import in_order


def slowest_first(item: int) -> int:
    time.sleep(0.002 * (9 - item))
    return -item


def test_answers_come_in_the_order_of_the_items_which_are_taken_one_by_one() -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in range(10):
            taken.append(item)
            yield item

    answers = in_order(ThreadPoolExecutor(4), slowest_first, items(), at_once=3)
    assert next(answers) == 0
    assert taken == [0, 1, 2]
    assert list(answers) == [-item for item in range(1, 10)]


def test_what_has_not_begun_when_one_fails_never_does() -> None:
    done = []

    def work(item: int) -> None:
        if item == 1:
            raise ValueError("no")
        done.append(item)

    with pytest.raises(ValueError, match="no"):
        list(in_order(ThreadPoolExecutor(1), work, range(100), at_once=4))
    assert done[0] == 0
    assert max(done) < 6
