"""Hostile files decoded by a whole codec; tests/hostile_files.py creates them and does the long run."""

import time
from contextlib import nullcontext

import hostile_files
import numpy as np
import pytest
from hostile_files import SILENT
from hypothesis import given
from hypothesis import strategies as st

from hsc.coding.container import Header, write
from hsc.coding.tables import LARGEST_SYMBOL
from hsc.errors import HscError

CODEC, ORIGINALS = hostile_files.load_golden()
SECONDS = 5.0  # far more than any file takes: only a hang fails
CRAFTED = dict(hostile_files.crafted(CODEC.model_id))
HARMLESS = {"the largest sides", "1 bytes of ones", "1 bytes of a pattern"}


def test_no_mutation_passes_unnoticed():
    """Of these 400 mutations, 0.006 are expected to pass the checksum by chance."""
    generator = np.random.default_rng(1)
    for index in range(400):
        original = ORIGINALS[index % len(ORIGINALS)]
        data = hostile_files.mutated(original.data, generator)
        assert hostile_files.outcome(CODEC, data, original) != SILENT, data.hex()


@pytest.mark.parametrize("name", CRAFTED)
def test_crafted_files_end_soon_in_an_error_or_a_picture(name: str):
    begin = time.perf_counter()
    # An attacker can write what an encoder could have written; everything else is refused.
    with pytest.raises(HscError, match=r"^[^\n]+$") if name not in HARMLESS else nullcontext():
        picture = CODEC.decompress(CRAFTED[name], native=True, strict=True)
        assert picture.shape == (3, CODEC.size, CODEC.size)
    assert time.perf_counter() - begin < SECONDS


def test_a_few_bytes_cannot_ask_for_all_memory():
    with pytest.raises(HscError, match=r"65535x65535 pixels.*native"):
        CODEC.decompress(CRAFTED["the largest sides"])


@given(st.binary(max_size=300), st.integers(0, 255), st.integers(1, 3))
def test_any_payload_under_a_good_checksum_is_refused_or_is_what_an_encoder_writes(payload: bytes, quality, layers):
    """An attacker can make the checksum valid; the payload must then be the encoding of the symbols it decodes to."""
    data = write(Header(CODEC.model_id, quality, 64, 64), [b""] * (layers - 1) + [payload])
    try:
        decoded = CODEC.decode([data])
    except HscError:
        return
    assert [layer.shape[1:] for layer in decoded.symbols] == [(3, 8), (3, 8), (2, 8)]
    assert all(layer.abs().max() <= LARGEST_SYMBOL for layer in decoded.symbols)


def test_a_bad_file_among_good_ones_is_told_apart():
    good, bad = ORIGINALS[0], write(Header(CODEC.model_id, 0, 64, 64), [b"\xff" * 50])
    with pytest.raises(HscError, match="damaged chunk"):
        CODEC.decompress([good.data, bad])
    assert len(CODEC.decompress([good.data])) == 1
