"""The .hsc file: a header and the chunks of the layers, each sealed by a checksum over everything before it."""

from binascii import crc_hqx
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from hsc.errors import HscError

VERSION = 1
_MAGIC = 0xB  # high nibble of the first byte; no common file format, text encoding or control code starts so
_HEADER_BYTES = 5
_CRC_BYTES = 2
_CRC_START = 0xFFFF
_SIDE_UNIT = 8
_MAX_VARINT_BYTES = 3
MAX_CHUNK_BYTES = (1 << 7 * _MAX_VARINT_BYTES) - 1
MAX_SIDE = 255 * _SIDE_UNIT
MAX_FILE_BYTES = 1 << 25  # more than 15 of the longest chunks


class Header(NamedTuple):
    """What a decoder must know before the first chunk."""

    model_id: int  # 0 … 65535, names the weights
    quality: int  # 0 … 255
    size: int  # side of the decoded image in pixels: a multiple of 8 from 8 to 2040


class Container(NamedTuple):
    """What a file holds."""

    header: Header
    chunks: list[bytes]  # payloads of the intact layers, in coding order
    damage: str | None  # what is wrong after those layers, one clear sentence; None for an intact file


def storable_side(side: int) -> int:
    """The side a file can store for an image of this side: rounded up to a multiple of 8, at most 2040."""
    return min(-(-side // _SIDE_UNIT) * _SIDE_UNIT, MAX_SIDE)


def read_file(path: Path) -> bytes:
    """The content of a file that may be an .hsc file. Raises HscError when it is missing or longer than any is."""
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
    """Whether a file is an .hsc file, intact up to its first layer at least."""
    try:
        _, chunks, damage = read(read_file(path))
    except HscError:
        return False
    return bool(chunks) or damage is None


def write(header: Header, chunks: Iterable[bytes]) -> bytes:
    """The file of these layers. The file of the first k chunks is its prefix.

    Raises HscError when a header field or a chunk's length cannot be stored; `storable_side` gives a side that can.
    """
    data = bytearray(_header_bytes(header))
    checksum = crc_hqx(data, _CRC_START)
    for payload in chunks:
        if len(payload) > MAX_CHUNK_BYTES:
            raise HscError(f"a layer of {len(payload)} bytes does not fit the file format (at most {MAX_CHUNK_BYTES})")
        chunk = _varint(len(payload)) + payload
        checksum = crc_hqx(chunk, checksum)
        data += chunk + checksum.to_bytes(_CRC_BYTES)
    return bytes(data)


def read(data: bytes) -> Container:
    """The header and the intact layers of a file; what follows a torn or altered chunk is lost and reported as damage.

    Time and memory are proportional to the file. Raises HscError when it is no .hsc file, of another version, or torn
    inside its header.
    """
    header = _parse_header(data)
    checksum = crc_hqx(data[:_HEADER_BYTES], _CRC_START)
    chunks: list[bytes] = []
    position = _HEADER_BYTES
    while position < len(data):
        start = position
        length, position = _read_varint(data, position)
        end = position + length
        if length < 0 or end + _CRC_BYTES > len(data):
            return Container(
                header, chunks, f"layer {len(chunks) + 1} is torn or followed by foreign bytes; get the file again"
            )
        checksum = crc_hqx(data[start:end], checksum)
        if checksum != int.from_bytes(data[end : end + _CRC_BYTES]):
            return Container(header, chunks, f"layer {len(chunks) + 1} fails its checksum; get the file again")
        chunks.append(data[position:end])
        position = end + _CRC_BYTES
    return Container(header, chunks, None if chunks else "the file ends before its first layer; get the file again")


def _header_bytes(header: Header) -> bytes:
    if header.size % _SIDE_UNIT or not _SIDE_UNIT <= header.size <= MAX_SIDE:
        raise HscError(
            f"a file cannot store an image side of {header.size}; resize to {storable_side(max(header.size, 1))}"
        )
    if not 0 <= header.quality <= 0xFF:
        raise HscError(f"quality {header.quality} is outside 0 … 255")
    if not 0 <= header.model_id <= 0xFFFF:
        raise HscError(f"model id {header.model_id} is outside 0 … 65535")
    return bytes([_MAGIC << 4 | VERSION, *header.model_id.to_bytes(2), header.quality, header.size // _SIDE_UNIT])


def _parse_header(data: bytes) -> Header:
    if not data:
        raise HscError("the file is empty; get it again")
    if data[0] >> 4 != _MAGIC:
        raise HscError("this is not an .hsc file; give a file that `hsc encode` wrote")
    if data[0] & 0xF != VERSION:
        raise HscError(f"this .hsc file has format version {data[0] & 0xF}, this program reads {VERSION}; update hsc")
    if len(data) < _HEADER_BYTES:
        raise HscError("the file ends inside its header; get it again")
    if data[4] == 0:
        raise HscError("the header is damaged: it gives an image side of 0; get the file again")
    return Header(int.from_bytes(data[1:3]), data[3], data[4] * _SIDE_UNIT)


def _varint(value: int) -> bytes:
    """Seven bits a byte, lowest first; the top bit says that more follow (LEB128)."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    """The number at `position` and the place behind it; −1 when it is torn, too long or not in its shortest form."""
    value = 0
    for index, byte in enumerate(data[position : position + _MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return (-1 if byte == 0 and index else value), position + index + 1
    return -1, position
