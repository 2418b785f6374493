"""The .hsc file: golden bytes, prefixes, damage, hostile input."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsc.coding.container import MAX_CHUNK_BYTES, MAX_SIDE, VERSION, Header, read, write
from hsc.errors import HscError

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "coding-v1.json").read_text())

headers = st.builds(
    Header,
    model_id=st.integers(0, 65535),
    quality=st.integers(0, 255),
    width=st.integers(1, MAX_SIDE),
    height=st.integers(1, MAX_SIDE),
    version=st.just(VERSION),
) | st.builds(
    lambda model_id, quality, side: Header(model_id, quality, 8 * side, 8 * side),
    model_id=st.integers(0, 65535),
    quality=st.integers(0, 255),
    side=st.integers(1, 255),
)
payloads = st.binary(max_size=300)
# Empty layers at the end are not written, so the last of several layers is not empty here.
files = st.tuples(
    headers,
    st.tuples(st.lists(payloads | st.just(b""), max_size=3), payloads.filter(bool)).map(lambda c: [*c[0], c[1]])
    | st.just([b""]),
)


def header_length(header: Header) -> int:
    usual = header.width == header.height and header.width % 8 == 0 and header.width <= 2040
    return 5 if usual else 9


def by_the_book(data: bytes, checksum: int = 0xFFFF) -> int:
    """The CRC-16 of docs/bitstream.md, bit by bit."""
    for byte in data:
        checksum ^= byte << 8
        for _ in range(8):
            checksum = (checksum << 1 ^ 0x1021 if checksum & 0x8000 else checksum << 1) & 0xFFFF
    return checksum


@given(files)
def test_reading_gives_back_what_was_written_and_fewer_layers_are_a_prefix(file):
    header, chunks = file
    whole = write(header, chunks)
    assert read(whole)[:3] == (header, chunks, None)
    assert all(whole.startswith(write(header, chunks[:count])) for count in range(len(chunks) + 1))


@given(files)
def test_checksums_are_those_of_the_specification(file):
    header, chunks = file
    position = header_length(header)
    data = write(header, chunks)
    sealed = data[:position]
    for index, payload in enumerate(chunks):
        if index and not payload:
            assert data[position] == 0
            sealed, position = sealed + b"\0", position + 1
            continue
        end = position + (1 if len(payload) < 128 else 2) + len(payload)
        sealed += data[position:end]
        assert int.from_bytes(data[end : end + 2]) == by_the_book(sealed)
        position = end + 2
    assert position == len(data)


@given(files)
def test_every_truncation_keeps_the_whole_layers(file):
    header, chunks = file
    whole = write(header, chunks)
    boundaries = {
        len(write(header, chunks[:count])): count
        for count in range(1, len(chunks) + 1)
        if count == 1 or chunks[count - 1]
    }
    intact = 0
    for length in range(len(whole)):
        intact = boundaries.get(length, intact)
        if length < header_length(header):
            with pytest.raises(HscError):
                read(whole[:length])
        else:
            container = read(whole[:length])
            assert container.chunks == chunks[:intact]
            assert (container.damage is None) == (length in boundaries)


@given(files, st.data())
@settings(derandomize=True)
def test_one_altered_byte_is_always_noticed(file, data):
    """A CRC-16 catches bursts of up to 16 bits. An altered length is missed with probability 2^-16, so derandomize."""
    header, chunks = file
    whole = bytearray(write(header, chunks))
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position] ^= data.draw(st.integers(1, 255))
    try:
        container = read(bytes(whole))
    except HscError:
        assert position == 0 or 4 <= position < 9
        return
    written = [count for count in range(1, len(chunks) + 1) if count == 1 or chunks[count - 1]]
    intact = max((count for count in written if len(write(header, chunks[:count])) <= position), default=0)
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
    assert container.header.version == 1 or not container.chunks or data.startswith(write(*container[:2]))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\x89PNG\r\n\x1a\n", "not an .hsc"),
        (b"\xff\xd8\xff\xe0", "not an .hsc"),
        (b"hello there", "not an .hsc"),
        (bytes(20), "not an .hsc"),
        (b"\xb3\0\0\0\x10\0", "version 3"),
        (b"\xb0\0\0\0\x10\0", "version 0"),
        (b"\xb1\0\0", "inside its header"),
        (b"\xb1\0\0\0\0\0\0\0", "has no pixels"),
        (b"\xb2\0\0\0\0\0\0", "inside its header"),
        (b"\xb2\0\0\0\0\0\0\0\x09", "has no pixels"),
        (b"\xb2\0\0\0\0\0\x10\0\x10", "shortest form"),
    ],
)
def test_what_is_no_readable_hsc_file_is_refused(data, message):
    with pytest.raises(HscError, match=message):
        read(data)


@pytest.mark.parametrize(
    "length", [b"\xff" * 9, b"\x80" * 9 + b"\x01", b"\x80\x00", b"\xff\xff\x7f", b"\xff\xff\xff\x7f"]
)
@pytest.mark.parametrize("version", [1, 2])
def test_hostile_lengths_are_damage(length, version):
    container = read(bytes([0xB0 | version]) + b"\0\0\0\x10" + length + bytes(50))
    assert container.chunks == []
    assert "layer 1" in container.damage


def test_the_longest_chunk_fits_and_no_longer_one():
    header = Header(0, 0, 128, 128)
    longest = bytes(MAX_CHUNK_BYTES)
    assert read(write(header, [longest])).chunks == [longest]
    with pytest.raises(HscError, match="does not fit"):
        write(header, [longest + b"\0"])


@given(headers)
def test_every_size_is_stored_exactly_and_usual_ones_in_one_byte(header):
    data = write(header, [b""])
    assert read(data).header == header
    assert len(data) == header_length(header) + 3


def test_empty_layers_cost_nothing_at_the_end_and_a_byte_in_between():
    header = Header(1, 2, 128, 128)
    whole = write(header, [b"basic", b"", b"more"])
    assert write(header, [b"basic", b""]) == write(header, [b"basic"])
    assert len(whole) == len(write(header, [b"basic"])) + 1 + 1 + 4 + 2
    assert read(whole).chunks == [b"basic", b"", b"more"]
    assert read(write(header, [b"", b""]))[:3] == (header, [b""], None)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        *((Header(1, 2, *size), "from 1 to 65535") for size in [(0, 8), (8, 0), (65536, 8), (8, -1)]),
        *((Header(*ids, 8, 8), "outside") for ids in [(-1, 0), (65536, 0), (0, 256), (0, -1)]),
        (Header(0, 0, 8, 8, version=1), "version 2, not 1"),
    ],
)
def test_headers_that_no_file_can_store_are_refused(header, message):
    with pytest.raises(HscError, match=message):
        write(header, [])


@pytest.mark.parametrize("golden", GOLDEN["files"], ids=lambda golden: golden["name"])
def test_golden_bytes_of_version_1(golden):
    about, chunks = golden["header"], [bytes.fromhex(chunk) for chunk in golden["chunks"]]
    header = Header(about["model_id"], about["quality"], about["size"], about["size"], version=1)
    assert read(bytes.fromhex(golden["file"]))[:3] == (header, chunks, None)


@pytest.mark.parametrize(
    ("header", "chunks", "data"),
    [
        (Header(0, 0, 8, 8), [b""], "b200000001004dcd"),
        (Header(0xBEEF, 105, 250, 187), [b"\x5e\xa2", b"", b"\xff"], "b2beef690000fa00bb025ea2b9b60001fff904"),
    ],
    ids=["usual size", "any size, a layer left out"],
)
def test_golden_bytes_of_version_2(header, chunks, data):
    assert write(header, chunks).hex() == data
