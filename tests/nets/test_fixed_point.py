"""Exact arithmetic at its limits, against Python's integers."""

import copy
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
    HEAD_BITS,
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
    """Four numbers whose squares and ε sum to root² + beside (Lagrange), which is where a rounded root goes wrong."""
    remaining = root * root + beside - epsilon(4)
    numbers = []
    for _ in range(3):
        numbers.append(math.isqrt(remaining))
        remaining -= numbers[-1] ** 2
    if math.isqrt(remaining) ** 2 == remaining:
        numbers.append(math.isqrt(remaining))
    assert normalise(np.array([numbers], dtype=np.float64))[0].tolist() == book.normalise(numbers)


def test_floats_would_round_some_of_these_roots_up():
    """2^50 − 1 lies so close below a square that a root one unit off has the wrong floor; with the half it cannot."""
    square = 1 << 50
    assert math.floor(math.nextafter(math.sqrt(square - 1), math.inf)) in (2**25 - 1, 2**25)
    for offset in (-1, 0):
        root = math.sqrt(square + offset + 0.5)
        for _ in range(2):
            for shaken in (math.nextafter(root, 0), math.nextafter(root, math.inf)):
                assert math.floor(shaken) == math.isqrt(square + offset)


def linear(generator: torch.Generator, *shape: int) -> IntegerLinear:
    layer = IntegerLinear(*shape)
    layer.load_state_dict(
        {
            "weight": torch.randint(-32767, 32768, shape, generator=generator).to(torch.int16),
            "bias": torch.randint(-(2**40), 2**40, (*shape[:-2], shape[-1]), generator=generator),
            "shift": torch.tensor(19),
        }
    )
    return layer


def test_linear_layers_are_exact_with_one_matrix_or_many():
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-(2**26), 2**26, (3, 5, 24), generator=generator)
    shared, many = linear(generator, 24, 7), linear(generator, 3, 24, 7)
    for row in range(3):
        # int64 products are exact too: 2^26 · 2^15 · 24 < 2^46.
        expected = (x[row] @ shared.weight.long() + shared.bias) >> 19
        assert shared(x[row].double().numpy()).tolist() == expected.tolist()
        expected = (x[row] @ many.weight[row].long() + many.bias[row]) >> 19
        assert many(x.double().numpy())[row].tolist() == expected.tolist()


def test_linear_layers_survive_dtype_changes_and_copies():
    generator = torch.Generator().manual_seed(1)
    layer = linear(generator, 16, 16)
    x = torch.randint(-(2**30), 2**30, (4, 16), generator=generator).double().numpy()
    expected = layer(x)
    for changed in (copy.deepcopy(layer), copy.deepcopy(layer).half(), copy.deepcopy(layer).float()):
        assert changed.weight.dtype == torch.int16
        assert np.array_equal(changed(x), expected)


def test_a_malformed_shift_is_refused():
    layer = IntegerLinear(2, 2)
    state = layer.state_dict() | {"shift": torch.tensor(64)}
    with pytest.raises(HscError, match="shift"):
        layer.load_state_dict(state)


@pytest.mark.parametrize("blind", [0, 2])
def test_attention_is_exact_and_close_to_softmax(blind: int):
    """11 keys, of which the last 3 are the queries' own; the first `blind` queries do not see the others' keys."""
    generator = torch.Generator().manual_seed(2)
    query, keys, values = (
        torch.randint(-(2**14), 2**14, (6, n, 8), generator=generator).double().numpy() for n in (3, 11, 11)
    )
    exponentials = np.round(np.exp(-np.arange(EXP_RANGE * EXP_STEPS) / EXP_STEPS) * 2**EXP_BITS)
    attended = attend(query, keys, values, exponentials, blind)
    shift = 2 * HEAD_BITS - int(math.log2(EXP_STEPS))
    for b in range(6):
        for t in range(3):
            seen = 8 + blind if t < blind else 11
            known, carried = keys[b, :seen], values[b, :seen]
            scores = [sum(int(q) * int(k) for q, k in zip(query[b, t], key, strict=True)) for key in known]
            indices = [min((max(scores) - score) >> shift, len(exponentials) - 1) for score in scores]
            weights = [int(exponentials[index]) for index in indices]
            expected = [sum(w * int(v) for w, v in zip(weights, column, strict=True)) for column in carried.T]
            assert attended[b, t].tolist() == [total // sum(weights) for total in expected]
            probabilities = torch.softmax(torch.tensor(scores).double() / 4**HEAD_BITS, 0).numpy()
            assert np.abs(probabilities @ carried - attended[b, t]).max() < 2**14 * 0.003
