"""The binary file of an offline W&B run, read without a server or an account.

The format is LevelDB's log: blocks of 32 KiB, which contain pieces with a header of seven bytes (checksum, length,
kind), one or more pieces per record; each record is a W&B protobuf message. A record truncated by a kill is skipped.
"""

import json
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hsc.errors import HscError

_BLOCK = 32768
_HEADER = struct.Struct("<IHB")
_MAGIC = b":W&B"
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


def last_values(path: Path) -> tuple[str, dict[str, float]]:
    """A run's name, and the last number it logged under each key. Raises HscError for anything but a W&B file."""
    from google.protobuf.message import DecodeError

    name = path.stem.removeprefix("run-")
    values: dict[str, float] = {}
    try:
        for record in read_records(path):
            if record.HasField("run"):
                name = record.run.display_name or record.run.run_id or name
            logged = logged_values(record.history.item)
            values |= {key: float(value) for key, value in logged.items() if isinstance(value, int | float)}
    except (OSError, ValueError, DecodeError) as error:
        raise HscError(f"{path} is not a readable W&B run ({error})") from error
    return name, values


def read_records(path: Path) -> Iterator[Any]:
    """The messages of a run's file, `wandb_internal_pb2.Record`. Raises ValueError if it does not start like one."""
    from wandb.proto import wandb_internal_pb2

    kind = wandb_internal_pb2.Record  # type: ignore[attr-defined]  # made at import
    return map(kind.FromString, _records(path.read_bytes()))


def logged_values(items: Iterable[Any]) -> dict[str, Any]:
    """Values by key, with the parts of nested keys joined by slashes."""
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def _records(data: bytes) -> Iterator[bytes]:
    if not data.startswith(_MAGIC):
        raise ValueError("it does not begin as one")
    position, record = 7, b""
    while position + _HEADER.size <= len(data):
        left = _BLOCK - position % _BLOCK
        if left < _HEADER.size:
            position += left
            continue
        _, length, kind = _HEADER.unpack_from(data, position)
        position += _HEADER.size
        if kind not in (_WHOLE, _FIRST, _MIDDLE, _LAST) or position + length > len(data):
            return
        piece = data[position : position + length]
        record = piece if kind in (_WHOLE, _FIRST) else record + piece
        position += length
        if kind in (_WHOLE, _LAST):
            yield record
