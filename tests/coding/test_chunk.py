"""The range coder: round trips, size, damage, and a second decoder written only from the specification."""

import json
from pathlib import Path

import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsc.coding.chunk import decode_chunk, encode_chunk
from hsc.coding.tables import LARGEST_SYMBOL, TOTAL, FrequencyTable
from hsc.errors import HscError

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "coding-v1.json").read_text())
GAUSSIAN = FrequencyTable.gaussian()


@st.composite
def tables(draw) -> FrequencyTable:
    """Any valid table: one to five classes, any radius up to 8, uniform or with nearly all mass on one column."""
    num_classes, num_columns = draw(st.integers(1, 5)), 2 * draw(st.integers(0, 8)) + 2
    weights = st.lists(st.sampled_from([0, 1, 7, 1000, 10**6, 10**9]), min_size=num_columns, max_size=num_columns)
    frequencies = []
    for _ in range(num_classes):
        row = np.array(draw(weights.filter(any)), dtype=np.float64)
        counts = 1 + np.floor(row / row.sum() * (TOTAL - num_columns)).astype(np.int64)
        counts[row.argmax()] += TOTAL - counts.sum()
        frequencies.append(counts)
    return FrequencyTable(np.array(frequencies, dtype=np.int32), np.arange(1.0, num_classes + 1))


@st.composite
def chunks(draw):
    """A table, symbols with escapes and extremes, and their classes."""
    table = draw(tables())
    symbol = st.one_of(
        st.integers(-3, 3),
        st.integers(-20, 20),
        st.integers(-LARGEST_SYMBOL, LARGEST_SYMBOL),
        st.sampled_from([-LARGEST_SYMBOL, LARGEST_SYMBOL]),
    )
    symbols = draw(st.lists(symbol, max_size=60))
    size = len(symbols)
    classes = draw(st.lists(st.integers(0, table.num_classes - 1), min_size=size, max_size=size))
    return table, np.array(symbols, dtype=np.int64), np.array(classes, dtype=np.int64)


def gaussian_symbols(generator: np.random.Generator, size: int, largest_class: int = 64):
    classes = generator.integers(0, largest_class, size)
    return np.round(generator.standard_normal(size) * GAUSSIAN.scales[classes]).astype(np.int64), classes


def decode_by_the_book(payload: bytes, classes, table: FrequencyTable) -> list[int]:
    """The decoder of docs/bitstream.md in plain Python integers, without constriction."""
    digits = int.from_bytes(payload) << 64  # the payload is followed by zeros …
    position = 8 * len(payload) + 64  # … without end; number of bits of `digits` not yet read

    def next_bits(count: int) -> int:
        nonlocal digits, position
        if position < count:
            digits, position = digits << 64, position + 64
        position -= count
        return digits >> position & (1 << count) - 1

    offset, size = next_bits(64), (1 << 64) - 1

    def decode(frequencies) -> int:
        nonlocal offset, size
        unit = size >> 24
        cumulative, column = 0, 0
        while unit * (cumulative + frequencies[column]) <= offset:
            cumulative += frequencies[column]
            column += 1
        offset -= unit * cumulative
        size = unit * frequencies[column]
        if size < 1 << 32:
            size <<= 32
            offset = offset << 32 | next_bits(32)
        return column

    symbols, fair = [], [1 << 23, 1 << 23]
    for row in classes:
        number = decode(table.frequencies[row].tolist())
        if number == table.escape:
            length = 0
            while decode(fair):
                length += 1
            excess = 1
            for _ in range(length):
                excess = 2 * excess + decode(fair)
            number += excess - 1
        symbols.append(-(number + 1) // 2 if number % 2 else number // 2)
    return symbols


@given(chunks())
@settings(max_examples=200)
def test_any_symbols_survive_in_the_specification_s_decoder_too_and_take_less_than_a_byte_over_their_ideal(chunk):
    table, symbols, classes = chunk
    payload = encode_chunk(symbols, classes, table)
    assert decode_chunk(payload, classes, table).tolist() == symbols.tolist()
    assert decode_by_the_book(payload, classes, table) == symbols.tolist()
    # The range coder rounds interval widths down, by a relative 2^-32 to 2^-24: up to 2^-8 of a symbol's interval.
    assert len(payload) < table.bits(symbols, classes).sum() / 8 * 1.002 + 1.01


@given(chunks())
def test_no_truncation_and_no_padding_passes_for_the_chunk(chunk):
    table, symbols, classes = chunk
    payload = encode_chunk(symbols, classes, table)
    for altered in [payload[:length] for length in range(len(payload))] + [payload + b"\0", payload + b"\xff"]:
        try:
            decoded = decode_chunk(altered, classes, table)
        except HscError:
            continue
        # The altered bytes can be a valid encoding of other symbols, but never of these.
        assert decoded.tolist() != symbols.tolist()


def test_mean_overhead_is_a_third_of_a_byte():
    generator = np.random.default_rng(0)
    overheads = []
    for index in range(1000):
        symbols, classes = gaussian_symbols(generator, generator.integers(1, 200), 64 if index % 2 else 25)
        overheads.append(len(encode_chunk(symbols, classes, GAUSSIAN)) - GAUSSIAN.bits(symbols, classes).sum() / 8)
    assert np.mean(overheads) < 0.4
    assert max(overheads) < 1.05


def test_silence_costs_nothing():
    assert encode_chunk([], [], GAUSSIAN) == b""
    assert encode_chunk([0] * 640, [20] * 640, GAUSSIAN) == b""
    assert decode_chunk(b"", [20] * 640, GAUSSIAN).tolist() == [0] * 640


def test_bits_spent_on_nothing_are_damage():
    with pytest.raises(HscError, match="damaged"):
        decode_chunk(b"\x01", [], GAUSSIAN)


def test_carries_run_through_held_back_words():
    """Symbols at the very top of the interval keep constriction's words undecided until one carries into them."""
    frequencies = np.array([[TOTAL // 2 - 1, TOTAL // 2 - 1, 1, 1], [1, 1, 1, TOTAL - 3]], dtype=np.int32)
    table = FrequencyTable(frequencies, np.array([1.0, 2.0]))
    for last in (-1, 0, 1, 5):
        symbols = [1] * 400 + [last]
        payload = encode_chunk(symbols, [0] * 401, table)
        assert decode_chunk(payload, [0] * 401, table).tolist() == symbols
        assert decode_by_the_book(payload, [0] * 401, table) == symbols


def test_hostile_bytes_end_in_symbols_or_a_clear_error():
    """Random and constant payloads longer than the symbols need give an HscError: no other exception, no hang."""
    generator = np.random.default_rng(1)
    for index in range(2000):
        size = int(generator.integers(60, 120))
        payload = bytes([index]) * size if 0 < index < 256 else generator.bytes(size)
        classes = generator.integers(0, 64, 30)
        with pytest.raises(HscError, match="damaged chunk"):
            decode_chunk(payload, classes, GAUSSIAN)


def test_an_endless_escape_is_refused():
    encoder = constriction.stream.queue.RangeEncoder()
    for _ in range(50):  # the escape, then ones with no terminating zero
        encoder.encode(1, constriction.stream.model.Uniform(2))
    table = FrequencyTable(np.array([[TOTAL // 2, TOTAL // 2]], dtype=np.int32), np.array([1.0]))
    with pytest.raises(HscError, match="too large"):
        decode_chunk(encoder.get_compressed().astype(">u4").tobytes(), [0], table)


@pytest.mark.parametrize(
    ("symbols", "classes"),
    [
        ([1, 2], [0]),
        ([1], [64]),
        ([1], [-1]),
        ([2**31], [0]),
        ([-(2**31)], [0]),
        ([0.5], [0]),
        ([1], [0.0]),
        ([[1]], [[0]]),
    ],
)
def test_wrong_calls_are_refused(symbols, classes):
    with pytest.raises(ValueError, match=r"symbols|classes"):
        encode_chunk(symbols, classes, GAUSSIAN)


@pytest.mark.parametrize("golden", GOLDEN["chunks"], ids=lambda golden: golden["name"])
def test_golden_bytes(golden):
    table = FrequencyTable(
        np.array(golden["frequencies"], dtype=np.int32), np.arange(1.0, len(golden["frequencies"]) + 1)
    )
    payload = bytes.fromhex(golden["payload"])
    assert encode_chunk(golden["symbols"], golden["classes"], table) == payload
    assert decode_chunk(payload, golden["classes"], table).tolist() == golden["symbols"]
    assert decode_by_the_book(payload, golden["classes"], table) == golden["symbols"]
