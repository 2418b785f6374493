"""The contents of an offline W&B run."""

import time
from pathlib import Path
from typing import Any, NamedTuple

from hsc.evaluation.wandb_file import logged_values, read_records

PATIENCE = 60  # seconds


class WandbRun(NamedTuple):
    config: dict[str, Any]
    summary: dict[str, Any]
    history: list[dict[str, Any]]
    axes: dict[str, str]  # step metric by metric


def read_wandb_run(folder: Path) -> WandbRun:
    """The one offline run below `folder`."""
    run = WandbRun({}, {}, [], {})
    names: dict[int, str] = {}
    # W&B's `finish` returns before its own process has made and written the file, whose last record is the exit.
    deadline = time.monotonic() + PATIENCE
    while not (records := _written(folder)) or not records[-1].HasField("exit"):
        assert time.monotonic() < deadline, f"the W&B run in {folder} stays without its end"
        time.sleep(0.05)
    for record in records:
        run.config.update(logged_values(record.run.config.update))
        run.config.update(logged_values(record.config.update))
        run.summary.update(logged_values(record.summary.update))
        if record.HasField("history"):
            run.history.append(logged_values(record.history.item))
        if record.HasField("metric"):
            name = record.metric.name or record.metric.glob_name
            names[len(names) + 1] = name
            run.axes[name] = record.metric.step_metric or names.get(record.metric.step_metric_index, "")
    return run


def _written(folder: Path) -> list[Any]:
    try:
        (file,) = folder.glob("**/*.wandb")
        return list(read_records(file))
    except ValueError:  # not written yet
        return []
