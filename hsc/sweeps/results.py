"""A sweep's result as rows, one a trial: its values, what it reached and what it took."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hsc.files import write_atomically
from hsc.sweeps.outcome import Outcome, read_outcome
from hsc.sweeps.sweep_file import Sweep
from hsc.sweeps.trials import SweepFolder, Trial


@dataclass(frozen=True)
class Result:
    """A trial with its outcome, and its loss by the sweep's metric (None: it has no value; less is better)."""

    trial: Trial
    outcome: Outcome
    loss: float | None


def read_results(sweep: Sweep, folder: SweepFolder) -> list[Result]:
    """All trials, the best first, those without a value last."""
    results = []
    for trial in folder.load():
        outcome = read_outcome(folder.run(trial), sweep.metric)
        value = outcome.value(sweep.metric)
        results.append(Result(trial, outcome, None if value is None else sweep.metric.loss(value)))
    return sorted(results, key=lambda one: (one.loss is None, one.loss, one.trial.number))


def best(results: Sequence[Result]) -> Result | None:
    """The best of the finished trials: only those leave a codec."""
    finished = [one for one in results if one.trial.state == "finished" and one.loss is not None]
    return min(finished, key=lambda one: (one.loss, one.trial.number), default=None)


def rows(sweep: Sweep, results: Sequence[Result]) -> list[dict[str, Any]]:
    """Flat rows with the same keys, for tables: metrics are those of the validation where the sweep's was best."""
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
    """Write `trials.csv` and, where pyarrow is installed, `trials.parquet`; returns their names."""
    table = rows(sweep, results)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table[0]))
    writer.writeheader()
    writer.writerows(table)
    write_atomically(folder.path / "trials.csv", text.getvalue().encode())
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        return ["trials.csv"]
    columns = {name: _column([row[name] for row in table]) for name in table[0]}
    content = pyarrow.table(columns)
    write_atomically(folder.path / "trials.parquet", lambda file: parquet.write_table(content, file))
    return ["trials.csv", "trials.parquet"]


def _flat(value: Any) -> Any:
    """Lists and mappings as text: cells are single values."""
    return value if value is None or isinstance(value, int | float | str) else str(value)


def _column(values: list[Any]) -> list[Any]:
    """A Parquet column has one type; where values have several they are kept as text."""
    kinds = {float if type(value) is int else type(value) for value in values if value is not None}
    return values if len(kinds) <= 1 else [None if value is None else str(value) for value in values]
