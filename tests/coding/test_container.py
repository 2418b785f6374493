"""The .hsc file: golden bytes, prefixes, damage, hostile input."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsc.coding.container import MAX_CHUNK_BYTES, MAX_SIDE, Container, Header, read, storable_side, write
from hsc.errors import HscError

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "coding-v1.json").read_text())

headers = st.builds(
    Header,
    model_id=st.integers(0, 65535),
    quality=st.integers(0, 255),
    size=st.integers(1, 255).map(lambda code: 8 * code),
)
files = st.tuples(headers, st.lists(st.binary(max_size=300), min_size=1, max_size=4))


def by_the_book(data: bytes, checksum: int = 0xFFFF) -> int:
    """docs/bitstream.md's CRC-16, bit by bit."""
    for byte in data:
        checksum ^= byte << 8
        for _ in range(8):
            checksum = (checksum << 1 ^ 0x1021 if checksum & 0x8000 else checksum << 1) & 0xFFFF
    return checksum


@given(files)
def test_reading_gives_back_what_was_written(file):
    header, chunks = file
    assert read(write(header, chunks)) == Container(header, chunks, None)


@given(files)
def test_checksums_are_those_of_the_specification(file):
    header, chunks = file
    data, sealed, position = write(header, chunks), b"", 5
    for payload in chunks:
        end = position + (1 if len(payload) < 128 else 2) + len(payload)
        sealed += data[0:end] if position == 5 else data[position:end]
        assert int.from_bytes(data[end : end + 2]) == by_the_book(sealed)
        position = end + 2
    assert position == len(data)


@given(files)
def test_fewer_layers_are_a_prefix(file):
    header, chunks = file
    whole = write(header, chunks)
    for count in range(len(chunks) + 1):
        assert whole.startswith(write(header, chunks[:count]))


@given(files)
def test_every_truncation_keeps_the_whole_layers(file):
    header, chunks = file
    whole = write(header, chunks)
    boundaries = {len(write(header, chunks[:count])): count for count in range(1, len(chunks) + 1)}
    intact = 0
    for length in range(len(whole)):
        intact = boundaries.get(length, intact)
        if length < 5:
            with pytest.raises(HscError):
                read(whole[:length])
        else:
            container = read(whole[:length])
            assert container.chunks == chunks[:intact]
            assert (container.damage is None) == (length in boundaries)


@given(files, st.data())
@settings(derandomize=True)
def test_one_altered_byte_is_always_noticed(file, data):
    """A CRC-16 catches every burst of up to 16 bits. An altered length has a chance of 2^-16: hence fixed examples."""
    header, chunks = file
    whole = bytearray(write(header, chunks))
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position] ^= data.draw(st.integers(1, 255))
    try:
        container = read(bytes(whole))
    except HscError:
        assert position in (0, 4)
        return
    intact = sum(len(write(header, chunks[: count + 1])) <= position for count in range(len(chunks)))
    assert container.damage is not None
    assert container.chunks == chunks[:intact]


@given(files, st.binary(min_size=1, max_size=5))
@settings(derandomize=True)
def test_bytes_after_the_last_layer_are_damage(file, trailing):
    header, chunks = file
    container = read(write(header, chunks) + trailing)
    assert container.chunks == chunks
    assert container.damage is not None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_container_or_a_clear_error(data):
    try:
        container = read(data)
    except HscError:
        return
    assert data.startswith(write(container.header, container.chunks))


def test_ten_thousand_mutations_pass_unnoticed_as_rarely_as_a_16_bit_checksum_allows():
    generator = np.random.default_rng(0)
    header = Header(model_id=0x1234, quality=3, size=128)
    chunks = [generator.bytes(size) for size in (21, 34, 55)]
    whole = write(header, chunks)
    silent = 0
    for _ in range(10_000):
        altered = bytearray(whole)
        for _ in range(generator.integers(1, 5)):
            place = int(generator.integers(0, len(altered)))
            match generator.integers(0, 5):
                case 0:
                    altered[place] = generator.integers(0, 256)
                case 1:
                    altered.insert(place, generator.integers(0, 256))
                case 2 if len(altered) > 1:
                    del altered[place]
                case 3:
                    altered[place:place] = altered[max(0, place - 8) : place]
                case 4:
                    altered[place : place + 2] = generator.bytes(2)
        try:
            container = read(bytes(altered))
        except HscError:
            continue
        genuine = container.header == header and container.chunks == chunks[: len(container.chunks)]
        silent += bool(container.chunks) and not genuine
    # A chunk read from altered bytes fits its checksum with probability 2^-16: 0.15 expected, 3 or more once in 2,000.
    assert silent <= 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n", "not an .hsc"),
        (b"\xff\xd8\xff\xe0", "not an .hsc"),
        (b"hello there", "not an .hsc"),
        (bytes(20), "not an .hsc"),
        (b"\xb2\0\0\0\x10\0", "version 2"),
        (b"\xb1\0\0", "inside its header"),
        (b"\xb1\0\0\0\0\0\0\0", "side of 0"),
    ],
)
def test_what_is_no_readable_hsc_file_is_refused(data, message):
    with pytest.raises(HscError, match=message):
        read(data)


@pytest.mark.parametrize(
    "length", [b"\xff" * 9, b"\x80" * 9 + b"\x01", b"\x80\x00", b"\xff\xff\x7f", b"\xff\xff\xff\x7f"]
)
def test_hostile_lengths_are_damage(length):
    container = read(b"\xb1\0\0\0\x10" + length + bytes(50))
    assert container.chunks == []
    assert "layer 1" in container.damage


def test_the_longest_chunk_fits_and_no_longer_one():
    header = Header(0, 0, 128)
    longest = bytes(MAX_CHUNK_BYTES)
    assert read(write(header, [longest])).chunks == [longest]
    with pytest.raises(HscError, match="does not fit"):
        write(header, [longest + b"\0"])


def test_every_multiple_of_eight_is_stored_exactly():
    for side in range(8, MAX_SIDE + 1, 8):
        assert read(write(Header(1, 2, side), [b""])).header.size == side
        assert storable_side(side) == side


@pytest.mark.parametrize(("side", "stored"), [(1, 8), (250, 256), (129, 136), (2041, 2040), (4096, 2040)])
def test_other_sides_are_refused_with_the_one_to_take(side, stored):
    assert storable_side(side) == stored
    with pytest.raises(HscError, match=f"resize to {stored}"):
        write(Header(1, 2, side), [])


@pytest.mark.parametrize("header", [Header(-1, 0, 128), Header(65536, 0, 128), Header(0, 256, 128), Header(0, -1, 128)])
def test_header_fields_out_of_range_are_refused(header):
    with pytest.raises(HscError, match="outside"):
        write(header, [])


@pytest.mark.parametrize("golden", GOLDEN["files"], ids=lambda golden: golden["name"])
def test_golden_bytes(golden):
    header, chunks = Header(**golden["header"]), [bytes.fromhex(chunk) for chunk in golden["chunks"]]
    data = bytes.fromhex(golden["file"])
    assert write(header, chunks) == data
    assert read(data) == Container(header, chunks, None)
