"""Exact arithmetic at its limits, against Python's integers."""

import math

import integer_network_by_the_book as book
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hsc.errors import HscError
from hsc.nets.fixed_point import (
    EXP_BITS,
    EXP_RANGE,
    EXP_STEPS,
    NORM_BITS,
    IntegerLinear,
    attend,
    epsilon,
    normalise,
    stream_limit,
)


@pytest.mark.parametrize("width", [4, 32, 128, 512])
def test_normalise_is_exact_up_to_the_clamp(width):
    generator = torch.Generator().manual_seed(width)
    limit = stream_limit(width)
    for largest in (1, 3, 40, 3000, limit):
        x = torch.randint(-largest, largest + 1, (50, width), generator=generator)
        x[0] = largest
        x[1] = -largest
        x[2] = 0
        normalised = normalise(x.double().numpy())
        assert normalised.tolist() == [book.normalise(row) for row in x.tolist()]
        assert np.abs(normalised).max() <= 1 << NORM_BITS


@given(st.integers(25, stream_limit(4)), st.integers(-2, 2))
@settings(max_examples=300)
def test_roots_next_to_perfect_squares_are_rounded_down_rightly(root, beside):
    """Four numbers whose squares and ε sum to root² + beside (Lagrange), where an inexact root rounds wrongly."""
    remaining = root * root + beside - epsilon(4)
    numbers = []
    for _ in range(3):
        numbers.append(math.isqrt(remaining))
        remaining -= numbers[-1] ** 2
    if math.isqrt(remaining) ** 2 == remaining:
        numbers.append(math.isqrt(remaining))
    assert normalise(np.array([numbers], dtype=np.float64))[0].tolist() == book.normalise(numbers)


def test_a_malformed_shift_is_refused():
    layer = IntegerLinear(2, 2)
    state = layer.state_dict() | {"shift": torch.tensor(64)}
    with pytest.raises(HscError, match="shift"):
        layer.load_state_dict(state)


@pytest.mark.parametrize("blind", [0, 2])
def test_attention_is_exact_where_some_queries_do_not_see_the_others_keys(blind: int):
    """11 keys, of which the last 3 are the queries' own; the first `blind` queries do not see those of the others."""
    generator = torch.Generator().manual_seed(2)
    query, keys, values = (torch.randint(-(2**14), 2**14, (6, n, 8), generator=generator) for n in (3, 11, 11))
    exponentials = np.round(np.exp(-np.arange(EXP_RANGE * EXP_STEPS) / EXP_STEPS) * 2**EXP_BITS)
    found = attend(*(integers.double().numpy() for integers in (query, keys, values)), exponentials, blind)
    for image, of_image in enumerate(found):
        known = list(zip(keys[image].tolist(), values[image].tolist(), strict=True))
        for place, attended in enumerate(of_image):
            seen = known[: 8 + blind] if place < blind else known
            expected = book.attend(exponentials.astype(int).tolist(), 1, query[image, place].tolist(), seen)
            assert attended.tolist() == expected
