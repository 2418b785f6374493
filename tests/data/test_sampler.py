"""Batches are pure functions of seed and step."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsc.data.sampler import StepBatches
from hsc.errors import HscError

sizes = st.integers(1, 40)
seeds = st.integers(0, 2**32)


def take(count: int, *arguments, **keywords) -> list[list[int]]:
    return list(islice(StepBatches(*arguments, **keywords), count))


@given(n=sizes, batch=sizes, seed=seeds, flips=st.booleans())
def test_every_epoch_shows_every_image_once(n, batch, seed, flips):
    epochs = 3
    keys = np.concatenate(take(-(-epochs * n // batch), n, batch, seed, flips=flips))[: epochs * n]
    assert keys.max() < (2 * n if flips else n)
    for epoch in (keys % n).reshape(epochs, n):
        assert sorted(epoch) == list(range(n))


@given(n=sizes, share=st.integers(1, 8), world=st.integers(1, 5), seed=seeds)
def test_ranks_together_see_the_batches_of_one_process(n, share, world, seed):
    alone = take(6, n, share * world, seed, flips=True)
    ranks = [take(6, n, share * world, seed, rank=rank, world=world, flips=True) for rank in range(world)]
    for step, batch in enumerate(alone):
        assert all(len(rank[step]) == share for rank in ranks)
        assert [key for keys in zip(*(rank[step] for rank in ranks), strict=True) for key in keys] == batch


@given(n=sizes, batch=sizes, seed=seeds, done=st.integers(0, 50))
def test_resuming_gives_the_tail(n, batch, seed, done):
    assert take(4, n, batch, seed, start_step=done, flips=True) == take(done + 4, n, batch, seed, flips=True)[done:]


def test_seeds_and_epochs_differ_and_flips_are_fair():
    n = 2000
    first, second = take(2, n, n, 0)
    assert first != second
    assert first != take(1, n, n, 1)[0]
    flipped = np.array(take(1, n, n, 0, flips=True)[0]) >= n
    assert abs(flipped.mean() - 0.5) < 0.05  # 4.5 standard deviations
    plain = [key % n for key in take(1, n, n, 0, flips=True)[0]]
    assert plain == first  # flips do not change the order


def test_the_order_is_pinned():
    """If the order changed, older checkpoints would not resume exactly."""
    assert take(3, 5, 4, 7, flips=True) == [[7, 5, 9, 1], [3, 3, 0, 7], [1, 9, 0, 7]]


@pytest.mark.parametrize(("n", "batch", "world"), [(0, 4, 1), (5, 0, 1), (5, 3, 2)])
def test_impossible_batches_are_refused(n, batch, world):
    with pytest.raises(HscError, match="batch"):
        StepBatches(n, batch, 0, world=world)
