"""Training runs as curves: what a run's last validation measured of each layer, one point per run.

Read are a run folder of `hsc train`, a folder of such runs (a sweep), an offline run of W&B, and a folder of those. The
points of a sweep are of different models: they are a cloud with a Pareto front, not a ladder of qualities.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml

from hsc.errors import HscError
from hsc.evaluation.results import Curve
from hsc.evaluation.wandb_file import last_values
from hsc.metrics.info import is_quality, metric_info

FROM_TRAINING = "last validation of a training run"
UNKNOWN = "metrics that trained the codec are not marked before the run has ended"
DEPTH = 3  # folders between a sweep's and its runs' own


class Run(NamedTuple):
    """A run and its last validation: value by metric by layer, `bpp` among the metrics. judges: those that trained its
    codec; None where nothing says so.
    """

    name: str
    layers: dict[str, dict[str, float]]
    judges: list[str] | None = None


def read_runs(folder: Path) -> list[Curve]:
    """A curve for every layer; none where the folder holds no runs. Raises HscError where no run is far enough."""
    alone, several = _runs_in(folder)
    if not alone and not several:
        return []
    finished = [run for run in alone or several if run.layers]
    if not finished:
        raise HscError(f"{folder}: no run has come to the end of a stage that writes files; hsc train resumes it")
    name = finished[0].name if alone else folder.resolve().name
    layers = list(dict.fromkeys(layer for run in finished for layer in run.layers))
    return [
        _curve(name, layer, [run for run in finished if layer in run.layers], not alone, folder) for layer in layers
    ]


def _runs_in(folder: Path) -> tuple[list[Run], list[Run]]:
    """(the run that the folder is, the runs that are somewhere in it); one of the two lists is empty."""
    if _is_run(folder):
        return [_read_run(folder)], []
    if files := sorted(folder.glob("*.wandb")):
        return [_read_wandb(files[0])], []
    patterns = ["/".join(["*"] * depth) for depth in range(1, DEPTH + 1)]
    found = [path for pattern in patterns for path in sorted(folder.glob(pattern)) if path.is_dir() and _is_run(path)]
    if found:
        # A sweep may link to its best run.
        return [], [_read_run(path) for path in found if not path.is_symlink()]
    return [], [_read_wandb(path) for pattern in patterns for path in sorted(folder.glob(f"{pattern}/*.wandb"))]


def _is_run(folder: Path) -> bool:
    return bool(_stages(folder)) and any(folder.glob("*/key.json"))


def _stages(folder: Path) -> list[str]:
    """The stages that the config of a run names, in order."""
    try:
        return list(yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8-sig"))["run"])
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return []


def _read_run(folder: Path) -> Run:
    """The last finished stage that measured files counts."""
    for stage in reversed(_stages(folder)):
        try:
            metrics = json.loads((folder / stage / "done.json").read_text(encoding="utf-8-sig"))["metrics"]
            layers = _by_layer(metrics)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
        if layers:
            return Run(folder.name, layers, judges_that_trained(folder))
    return Run(folder.name, {})


def judges_that_trained(run: Path) -> list[str] | None:
    """Names of the judges that trained a run's codec, as its card says; None before there is one."""
    from hsc.checkpoints import weights_file  # here, as torch takes seconds to import

    try:
        return list(weights_file.describe(run / "codec.safetensors").card.get("judges", []))
    except HscError:
        return None


def metrics_trained_with(metrics: Iterable[str], judges: Iterable[str]) -> list[str]:
    """Those of logged metrics that are answers of one of these judges, or of one on the same backbone."""
    judges = set(judges)
    if not judges:
        return []
    from hsc.judges import families_of  # torch again

    families = families_of(judges)
    answering = {metric: info.judge if (info := metric_info(metric)) else metric for metric in metrics}
    return [metric for metric, judge in answering.items() if judge in judges or families_of([judge]) & families]


def _read_wandb(path: Path) -> Run:
    name, values = last_values(path)
    return Run(name, _by_layer(values))


def _by_layer(values: dict[str, float]) -> dict[str, dict[str, float]]:
    """`val/LAYER/METRIC` sorted by layer; layers without a rate are left out."""
    layers: dict[str, dict[str, float]] = {}
    for key, value in values.items():
        stage, _, rest = key.partition("/")
        layer, _, metric = rest.partition("/")
        if stage == "val" and (metric == "bpp" or is_quality(metric)):
            layers.setdefault(layer, {})[metric] = float(value)
    return {layer: metrics for layer, metrics in layers.items() if "bpp" in metrics}


def _curve(name: str, layer: str, runs: Sequence[Run], sweep: bool, folder: Path) -> Curve:
    metrics = dict.fromkeys(metric for run in runs for metric in run.layers[layer])
    values = {metric: np.array([run.layers[layer].get(metric, np.nan) for run in runs]) for metric in metrics}
    judges = [judge for run in runs for judge in run.judges or ()]
    return Curve(
        name=f"{name} {layer}",
        values=values,
        description=FROM_TRAINING if all(run.judges is not None for run in runs) else f"{FROM_TRAINING}; {UNKNOWN}",
        trained_on=metrics_trained_with(metrics, judges),
        codec=name,
        layer=layer,
        labels=[run.name for run in runs] if sweep else [],
        source=folder,
    )
