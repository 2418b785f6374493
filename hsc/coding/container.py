"""The .hsc file: a header and the chunks of the layers, each sealed by a checksum over everything before it."""

from binascii import crc_hqx
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from hsc.errors import HscError

VERSION = 2  # the version written; version 1 can be read, too
_MAGIC = 0xB  # high nibble of the first byte; no common file format, text encoding or control code starts with it
_FIXED_BYTES = 5  # of the header, up to the code of the size
_SIZE_BYTES = 4  # that follow the code _ANY_SIZE
_ANY_SIZE = 0
_CRC_BYTES = 2
_CRC_START = 0xFFFF
_SIDE_UNIT = 8
_MAX_VARINT_BYTES = 3
MAX_CHUNK_BYTES = (1 << 7 * _MAX_VARINT_BYTES) - 1
MAX_SIDE = 0xFFFF
MAX_FILE_BYTES = 1 << 25  # more than 15 of the longest chunks


class Header(NamedTuple):
    """The information that a decoder needs before the first chunk."""

    model_id: int  # 0 … 65535, identifies the weights
    quality: int  # 0 … 255: a position between the model's levels; in version 1 a level
    width: int  # of the picture in pixels, 1 … 65535
    height: int
    version: int = VERSION


class Container(NamedTuple):
    """The content of a file."""

    header: Header
    chunks: list[bytes]  # payloads of the intact layers, in coding order; empty for a layer of zeros
    damage: str | None  # what is wrong after those layers, one clear sentence; None for an intact file
    ends: list[int]  # length of the header, then of the file up to each chunk; of an empty one, up to the one before


def read_file(path: Path) -> bytes:
    """The content of a file that may be an .hsc file. Raises HscError when it is missing or too long for one."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise HscError(
            f"{path}: {(error.strerror or str(error)).lower()}; give a file that `hsc encode` wrote"
        ) from error
    if len(data) > MAX_FILE_BYTES:
        raise HscError(f"{path}: longer than any .hsc file ({MAX_FILE_BYTES} bytes); give one that `hsc encode` wrote")
    return data


def is_coded(path: Path) -> bool:
    """Whether a file is an .hsc file, intact at least up to its first layer."""
    try:
        _, chunks, damage, _ = read(read_file(path))
    except HscError:
        return False
    return bool(chunks) or damage is None


def write(header: Header, chunks: Iterable[bytes]) -> bytes:
    """The file of these layers. The file of the first k layers is a prefix of it.

    Empty layers cost nothing at the end, one byte before a layer that is not empty. The first is always written: its
    checksum also covers the header. Raises HscError when a header field or a chunk's length cannot be stored.
    """
    data = bytearray(_header_bytes(header))
    checksum = crc_hqx(data, _CRC_START)
    skipped = b""
    for index, payload in enumerate(chunks):
        if index and not payload:
            skipped += b"\0"
            continue
        if len(payload) > MAX_CHUNK_BYTES:
            raise HscError(f"a layer of {len(payload)} bytes does not fit the file format (at most {MAX_CHUNK_BYTES})")
        chunk = skipped + _varint(len(payload)) + payload
        checksum = crc_hqx(chunk, checksum)
        data += chunk + checksum.to_bytes(_CRC_BYTES)
        skipped = b""
    return bytes(data)


def read(data: bytes) -> Container:
    """The header and the intact layers of a file; everything after a damaged chunk is lost and reported as damage.

    Time and memory are proportional to the file's size. Raises HscError when it is not an .hsc file, has another
    version, or is truncated inside its header.
    """
    header, position = _parse_header(data)
    checksum = crc_hqx(data[:position], _CRC_START)
    chunks: list[bytes] = []
    ends = [position]
    while position < len(data):
        start = position
        skipped = 0
        if header.version > 1 and chunks:
            while position < len(data) and data[position] == 0:
                skipped, position = skipped + 1, position + 1
        number = len(chunks) + skipped + 1
        length, position = _read_varint(data, position)
        end = position + length
        if length < 0 or end + _CRC_BYTES > len(data):
            why = f"layer {number} is truncated or followed by extra bytes; get the file again"
            return Container(header, chunks, why, ends)
        checksum = crc_hqx(data[start:end], checksum)
        if checksum != int.from_bytes(data[end : end + _CRC_BYTES]):
            return Container(header, chunks, f"layer {number} fails its checksum; get the file again", ends)
        chunks += [b""] * skipped + [data[position:end]]
        position = end + _CRC_BYTES
        ends += [start] * skipped + [position]
    damage = None if chunks else "the file ends before its first layer; get the file again"
    return Container(header, chunks, damage, ends)


def _header_bytes(header: Header) -> bytes:
    if header.version != VERSION:
        raise HscError(f"this program writes format version {VERSION}, not {header.version}")
    if not (1 <= header.width <= MAX_SIDE and 1 <= header.height <= MAX_SIDE):
        raise HscError(
            f"a file cannot store a picture of {header.width}x{header.height}; sides go from 1 to {MAX_SIDE} pixels"
        )
    if not 0 <= header.quality <= 0xFF:
        raise HscError(f"quality {header.quality} is outside 0 … 255")
    if not 0 <= header.model_id <= 0xFFFF:
        raise HscError(f"model id {header.model_id} is outside 0 … 65535")
    start = bytes([_MAGIC << 4 | VERSION, *header.model_id.to_bytes(2), header.quality])
    units, rest = divmod(header.width, _SIDE_UNIT)
    if header.width == header.height and rest == 0 and units <= 0xFF:
        return start + bytes([units])
    return start + bytes([_ANY_SIZE]) + header.width.to_bytes(2) + header.height.to_bytes(2)


def _parse_header(data: bytes) -> tuple[Header, int]:
    """The header, and the position after it."""
    if not data:
        raise HscError("the file is empty; get it again")
    if data[0] >> 4 != _MAGIC:
        raise HscError("this is not an .hsc file; give a file that `hsc encode` wrote")
    version = data[0] & 0xF
    if not 1 <= version <= VERSION:
        raise HscError(f"this .hsc file has format version {version}, this program reads 1 to {VERSION}; update hsc")
    end = _FIXED_BYTES
    if version > 1 and len(data) >= end and data[end - 1] == _ANY_SIZE:
        end += _SIZE_BYTES
    if len(data) < end:
        raise HscError("the file ends inside its header; get it again")
    width = height = data[_FIXED_BYTES - 1] * _SIDE_UNIT
    if end > _FIXED_BYTES:
        width, height = (int.from_bytes(data[place : place + 2]) for place in (_FIXED_BYTES, _FIXED_BYTES + 2))
    if width == 0 or height == 0:
        raise HscError("the header is damaged: the picture has no pixels; get the file again")
    header = Header(int.from_bytes(data[1:3]), data[3], width, height, version)
    if version == VERSION and _header_bytes(header) != data[:end]:
        raise HscError("the header is damaged: its size is not in the shortest form; get the file again")
    return header, end


def _varint(value: int) -> bytes:
    """Seven bits per byte, lowest first; the top bit says that more follow (LEB128)."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    """The number at `position` and the position after it; −1 when it is truncated, too long or not shortest."""
    value = 0
    for index, byte in enumerate(data[position : position + _MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return (-1 if byte == 0 and index else value), position + index + 1
    return -1, position
