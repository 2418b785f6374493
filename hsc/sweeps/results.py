"""Outcomes of trials, read only from their run folders (done-markers, logs), and a sweep's result as rows."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hsc.evaluation.runs import layers_of, stages_of
from hsc.evaluation.table import write_columns
from hsc.files import read_json
from hsc.metrics.info import MetricInfo
from hsc.metrics.own import read_own_metrics
from hsc.sweeps.sweep_file import Metric, Sweep
from hsc.sweeps.trials import SweepFolder, Trial

DONE = "done.json"
IMAGES = "samples_seen"  # the x-axis of all training logs


@dataclass(frozen=True)
class Outcome:
    """history: the metric at each validation of the last stage. best: all values of the best validation, by their
    logged names. reused: stages reused from other runs. images: number of training images before each validation of the
    history. layers: of the codec, in coding order. own: metrics of the user's own judges, by the last part of their
    logged names.
    """

    finished: bool = False
    history: list[float] = field(default_factory=list)
    best: dict[str, float] = field(default_factory=dict)
    reused: list[str] = field(default_factory=list)
    images: list[float] = field(default_factory=list)
    layers: list[str] = field(default_factory=list)
    own: Mapping[str, MetricInfo] = field(default_factory=dict)

    def value(self, metric: Metric) -> float | None:
        return self.best.get(metric.name)


def read_outcome(run: Path, metric: Metric) -> Outcome:
    """The outcome so far; empty if the run has not started.

    Only validations of the last stage count: earlier stages have other objectives, fewer layers or no file.
    """
    stages = stages_of(run)
    if not stages:
        return Outcome()
    validations = read_validations(run / stages[-1])
    measured = [values for values in validations if math.isfinite(values.get(metric.name, math.nan))]
    best = min(measured, key=lambda values: metric.loss(values[metric.name]), default={})
    reused = [name for name in stages if read_json(run / name / DONE).get("reused_from")]
    return Outcome(
        finished=(run / DONE).exists() and bool(best),
        history=[values[metric.name] for values in measured],
        best=best,
        reused=reused,
        images=[values[IMAGES] for values in measured],
        layers=layers_of(run),
        own=read_own_metrics(run / stages[-1]),
    )


def read_validations(stage: Path) -> list[dict[str, float]]:
    """Every validation of a stage in order of steps, over all restarts: a repeated step counts once.

    The values by their logged names: `val/…`, and the number of training images so far.
    """
    by_step: dict[int, dict[str, float]] = {}
    for file in sorted(stage.glob("log/version_*/metrics.csv"), key=lambda file: int(file.parent.name[8:])):
        for step, values in _rows(file):
            by_step.setdefault(step, {}).update(values)
    return [by_step[step] for step in sorted(by_step)]


def has_begun(run: Path) -> bool:
    """Whether the run reached its first stage: its config is valid, and everything it needs was found."""
    return bool(stages_of(run))


def standing(run: Path, metric: Metric) -> str:
    """Progress of a run that has not ended, as text."""
    stages = stages_of(run)
    name = next((name for name in stages if not (run / name / DONE).exists()), None)
    if name is None:
        return "ending" if stages else "starting"
    measured = read_outcome(run, metric).history
    reached = f", {metric.name} {measured[-1]:.4g}" if measured else ""
    return f"in {name} ({stages.index(name) + 1} of {len(stages)}){reached}"


def why_unfinished(run: Path, metric: Metric) -> str:
    """The reason, as text, for a run whose process has ended."""
    stages = stages_of(run)
    if not stages:
        return "ended before its first stage"
    for name in stages:
        if not (run / name / DONE).exists():
            return f"ended during {name}"
    if (run / DONE).exists():
        return f"never logged {metric.name}"
    return "ended before its weights were released"


@dataclass(frozen=True)
class Result:
    """A trial with its outcome. losses: the sweep's metric at each validation so far; less is better."""

    trial: Trial
    outcome: Outcome = field(default_factory=Outcome)
    losses: list[float] = field(default_factory=list)

    @property
    def loss(self) -> float | None:
        """The best loss so far; None if there is none."""
        return min(self.losses, default=None)


def read_result(sweep: Sweep, folder: SweepFolder, trial: Trial) -> Result:
    """A trial with the outcome so far, from its run folder."""
    outcome = read_outcome(folder.run(trial), sweep.metric)
    return Result(trial, outcome, list(map(sweep.metric.loss, outcome.history)))


def read_results(sweep: Sweep, folder: SweepFolder) -> list[Result]:
    """All trials, the best first and those without a value last."""
    results = [read_result(sweep, folder, trial) for trial in folder.load()]
    return sorted(results, key=lambda one: (one.loss is None, one.loss, one.trial.number))


def best(results: Sequence[Result]) -> Result | None:
    """The best of the finished trials: only these have produced a codec."""
    finished = [one for one in results if one.trial.state == "finished" and one.loss is not None]
    return min(finished, key=lambda one: (one.loss, one.trial.number), default=None)


def rows(sweep: Sweep, results: Sequence[Result]) -> list[dict[str, Any]]:
    """Flat rows with the same keys, for tables: metrics are from the validation with the best value of the sweep's."""
    names = sorted({name for one in results for name in one.outcome.best})
    return [
        {
            "trial": one.trial.name,
            "state": one.trial.state,
            **{parameter.name: _flat(one.trial.values.get(parameter.name)) for parameter in sweep.parameters},
            **{name: one.outcome.best.get(name) for name in names},
            "validations": len(one.outcome.history),
            "reused": " ".join(one.outcome.reused),
            "attempts": len(one.trial.attempts),
            "seconds": round(one.trial.seconds, 1),
        }
        for one in results
    ]


def write_tables(sweep: Sweep, folder: SweepFolder, results: Sequence[Result]) -> list[str]:
    """Write `trials.csv` and, if pyarrow is installed, `trials.parquet`; returns their names."""
    table = rows(sweep, results)
    columns = {name: [row[name] for row in table] for name in table[0]}
    return [file.name for file in write_columns(folder.path / "trials.csv", columns)]


def _rows(file: Path) -> list[tuple[int, dict[str, float]]]:
    rows = []
    with open(file, newline="") as content:
        for row in csv.DictReader(content):
            values = {name: _number(text) for name, text in row.items() if name and name.startswith("val/")}
            values = {name: value for name, value in values.items() if not math.isnan(value)}
            step, images = _number(row.get("step")), _number(row.get(IMAGES))
            if values and not math.isnan(step + images):
                rows.append((int(step), values | {IMAGES: images}))
    return rows


def _number(text: Any) -> float:
    """The number; NaN for empty or truncated text, or anything that is not a number."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan


def _flat(value: Any) -> Any:
    """Lists and mappings as text: cells are single values."""
    return value if value is None or isinstance(value, int | float | str) else str(value)
