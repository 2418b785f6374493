"""Metrics of the user's own judges: their descriptions are stored beside their values, since the judge may not be
available when these are read.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hsc.files import read_json, write_atomically
from hsc.metrics.info import MetricInfo, column_name, metric_info

FILE = Path("log", "own_metrics.json")  # in a stage's folder


def own_metrics(infos: Iterable[MetricInfo]) -> dict[str, MetricInfo]:
    """The metrics that are not built into hsc, by name."""
    return {info.name: info for info in infos if metric_info(info.name) is None}


def to_json(infos: Mapping[str, MetricInfo]) -> dict[str, dict[str, Any]]:
    kept = ("label", "higher_is_better", "judge", "family")
    return {name: {key: getattr(info, key) for key in kept} for name, info in infos.items()}


def from_json(content: Mapping[str, Mapping[str, Any]]) -> dict[str, MetricInfo]:
    """The reverse of `to_json`. Raises KeyError, TypeError or AttributeError for any other content."""
    return {
        name: MetricInfo(
            name,
            str(said["label"]),
            bool(said["higher_is_better"]),
            judge=str(said["judge"]),
            family=str(said.get("family", "")),
        )
        for name, said in content.items()
    }


def write_own_metrics(stage: Path, infos: Mapping[str, MetricInfo]) -> None:
    """Write the descriptions of a stage's own metrics, by their logged names, beside its log."""
    if infos:
        write_atomically(stage / FILE, json.dumps(to_json(infos), indent=1).encode())


def read_own_metrics(stage: Path) -> dict[str, MetricInfo]:
    """The descriptions that `write_own_metrics` wrote in a stage's folder; empty if there are none."""
    try:
        return from_json(read_json(stage / FILE))
    except (KeyError, TypeError, AttributeError):
        return {}


def as_in_results(infos: Mapping[str, MetricInfo]) -> dict[str, MetricInfo]:
    """By logged name, such as my_judges:Brightness, the metrics under their names in result files."""
    named: dict[str, MetricInfo] = {}
    for logged, info in infos.items():
        column = column_name(info.judge)
        taken = metric_info(column) is not None or column in {one.name for one in named.values()}
        named[logged] = info if taken else replace(info, name=column)
    return named
