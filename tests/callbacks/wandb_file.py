"""Reads the binary file of an offline W&B run: LevelDB's log format, a protobuf message a record."""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

BLOCK = 32768
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4
PATIENCE = 60  # seconds


class WandbRun(NamedTuple):
    config: dict[str, Any]
    summary: dict[str, Any]
    history: list[dict[str, Any]]
    axes: dict[str, str]  # step metric by metric


def read_wandb_run(folder: Path) -> WandbRun:
    """The one offline run below `folder`."""
    from wandb.proto import wandb_internal_pb2

    (file,) = folder.glob("**/*.wandb")
    run = WandbRun({}, {}, [], {})
    names: dict[int, str] = {}
    # W&B's `finish` returns before its own process has written the file, whose last record is the exit.
    deadline = time.monotonic() + PATIENCE
    while not (records := _parsed(file, wandb_internal_pb2.Record)) or not records[-1].HasField("exit"):
        assert time.monotonic() < deadline, f"{file} stays without its end"
        time.sleep(0.05)
    for record in records:
        run.config.update(_values(record.run.config.update))
        run.config.update(_values(record.config.update))
        run.summary.update(_values(record.summary.update))
        if record.HasField("history"):
            run.history.append(_values(record.history.item))
        if record.HasField("metric"):
            name = record.metric.name or record.metric.glob_name
            names[len(names) + 1] = name
            run.axes[name] = record.metric.step_metric or names.get(record.metric.step_metric_index, "")
    return run


def _parsed(file: Path, kind: type) -> list[Any]:
    return [kind.FromString(data) for data in _records(file.read_bytes())]


def _values(items) -> dict[str, Any]:
    return {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def _records(data: bytes) -> Iterator[bytes]:
    if not data.startswith(b":W&B"):
        return
    position, parts = 7, b""
    while position + 7 <= len(data):
        if BLOCK - position % BLOCK < 7:
            position += BLOCK - position % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + 7])
        if position + 7 + length > len(data):
            return  # half-written
        parts = (b"" if kind in (FULL, FIRST) else parts) + data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (FULL, LAST):
            yield parts
