"""What a trial has reached, read from its run folder alone: the done-marker, the logs, the stages' markers."""

import csv
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hsc.sweeps.sweep_file import Metric

DONE = "done.json"


@dataclass(frozen=True)
class Outcome:
    """history: the metric at each validation of the last stage. best: the validation where it was best, all its values
    by their logged names. reused: stages taken over from other runs.
    """

    finished: bool = False
    history: list[float] = field(default_factory=list)
    best: dict[str, float] = field(default_factory=dict)
    reused: list[str] = field(default_factory=list)

    def value(self, metric: Metric) -> float | None:
        return self.best.get(metric.name)


def read_outcome(run: Path, metric: Metric) -> Outcome:
    """What is there so far; a run that has not begun has an empty outcome.

    Only validations of the last stage count: those of the stages before have other objectives, fewer layers or no file.
    """
    stages = stages_of(run)
    if not stages:
        return Outcome()
    validations = read_validations(run / stages[-1])
    measured = [values for values in validations if math.isfinite(values.get(metric.name, math.nan))]
    best = min(measured, key=lambda values: metric.loss(values[metric.name]), default={})
    reused = [name for name in stages if _json(run / name / DONE).get("reused_from")]
    return Outcome(
        finished=(run / DONE).exists() and bool(best),
        history=[values[metric.name] for values in measured],
        best=best,
        reused=reused,
    )


def read_validations(stage: Path) -> list[dict[str, float]]:
    """Every validation of a stage in the order of its steps, over all restarts: a repeated step counts once.

    The logged names with their values, `val/…` ones only.
    """
    by_step: dict[int, dict[str, float]] = {}
    for file in sorted(stage.glob("log/version_*/metrics.csv"), key=lambda file: int(file.parent.name[8:])):
        for step, values in _rows(file):
            by_step.setdefault(step, {}).update(values)
    return [by_step[step] for step in sorted(by_step)]


def has_begun(run: Path) -> bool:
    """Whether its first stage was reached: its config works, and what it needs was there."""
    return bool(stages_of(run))


def standing(run: Path, metric: Metric) -> str:
    """Where a run that is under way has got to, in words."""
    stages = stages_of(run)
    name = next((name for name in stages if not (run / name / DONE).exists()), None)
    if name is None:
        return "ending" if stages else "starting"
    measured = read_outcome(run, metric).history
    reached = f", {metric.name} {measured[-1]:.4g}" if measured else ""
    return f"in {name} ({stages.index(name) + 1} of {len(stages)}){reached}"


def why_unfinished(run: Path, metric: Metric) -> str:
    """In words, for a run whose process has ended."""
    stages = stages_of(run)
    if not stages:
        return "ended before its first stage"
    for name in stages:
        if not (run / name / DONE).exists():
            return f"ended during {name}"
    if (run / DONE).exists():
        return f"never logged {metric.name}"
    return "ended before its weights were released"


def stages_of(run: Path) -> list[str]:
    """The stages of a run in their order; none before it has begun."""
    try:
        return list(yaml.safe_load((run / "config.yaml").read_text())["run"])
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return []


def _rows(file: Path) -> list[tuple[int, dict[str, float]]]:
    rows = []
    with open(file, newline="") as content:
        for row in csv.DictReader(content):
            values = {name: _number(text) for name, text in row.items() if name and name.startswith("val/")}
            values = {name: value for name, value in values.items() if not math.isnan(value)}
            step = _number(row.get("step"))
            if values and not math.isnan(step):
                rows.append((int(step), values))
    return rows


def _number(text: Any) -> float:
    """NaN for what is empty, torn or no number."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan


def _json(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
