"""Count how many bytes of a file belong to the coded picture and how many to the headers around it.

At 128×128, headers are a large share of a file (83 of 105 bytes for VVC at its coarsest), so both counts are reported.
The picture's share counts NAL units or OBUs with their own headers, without start codes and size fields.
"""

import re

_START_CODE = re.compile(rb"\x00\x00\x01")


def nal_units(stream: bytes) -> list[bytes]:
    """Annex B byte stream (ITU-T H.265, H.266) → its NAL units, header first, without start codes and padding."""
    starts = [match.end() for match in _START_CODE.finditer(stream)]
    ends = [start - 3 for start in starts[1:]] + [len(stream)]
    # A NAL unit never ends with a zero byte: zeros before the next start code belong to that start code.
    return [stream[start:end].rstrip(b"\x00") for start, end in zip(starts, ends, strict=True)]


def vvc_slice_bytes(stream: bytes) -> int:
    """Bytes of the slices of an H.266 stream: NAL types 0–11, table 5 of the standard."""
    return sum(len(unit) for unit in nal_units(stream) if unit[1] >> 3 <= 11)


def hevc_slice_bytes(stream: bytes) -> int:
    """Bytes of the slices of an H.265 stream: NAL types 0–31, table 7-1 of the standard."""
    return sum(len(unit) for unit in nal_units(stream) if (unit[0] >> 1) & 0x3F <= 31)


def av1_frame_bytes(stream: bytes) -> int:
    """Bytes of the frame headers, tile groups and frames (types 3, 4, 6) of a low-overhead AV1 stream, section 5.3.

    Raises ValueError on an OBU without a size field, which this format requires.
    """
    total = position = 0
    while position < len(stream):
        header = stream[position]
        kind, extension, has_size = (header >> 3) & 0xF, (header >> 2) & 1, (header >> 1) & 1
        if not has_size:
            raise ValueError("AV1 stream holds an OBU without a size field")
        size, payload = _leb128(stream, position + 1 + extension)
        if kind in (3, 4, 6):
            total += 1 + extension + size
        position = payload + size
    return total


def media_data_bytes(file: bytes) -> int:
    """Payload bytes of the `mdat` boxes of an AVIF or HEIC file (ISO/IEC 14496-12, section 4.2)."""
    total = position = 0
    while position < len(file):
        size, kind, header = int.from_bytes(file[position : position + 4]), file[position + 4 : position + 8], 8
        if size == 1:
            size, header = int.from_bytes(file[position + 8 : position + 16]), 16
        elif size == 0:
            size = len(file) - position
        if size < header:
            raise ValueError("broken box structure")
        if kind == b"mdat":
            total += size - header
        position += size
    return total


def _leb128(stream: bytes, position: int) -> tuple[int, int]:
    """The number that starts at `position`, and the position after it."""
    value = shift = 0
    while True:
        byte = stream[position]
        value |= (byte & 0x7F) << shift
        position += 1
        shift += 7
        if not byte & 0x80:
            return value, position
