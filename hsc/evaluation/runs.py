"""Training runs as curves: each layer's metrics at a run's last validation, one point per run.

The input is a run folder of `hsc train`, a folder of such runs (a sweep), an offline W&B run, or a folder of those. The
points of a sweep are different models: they form a cloud with a Pareto front, not a ladder of qualities.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from hsc.errors import HscError
from hsc.evaluation.results import Curve
from hsc.evaluation.wandb_file import last_values
from hsc.metrics.info import MetricInfo, is_quality, metric_info
from hsc.metrics.own import as_in_results, read_own_metrics

FROM_TRAINING = "last validation of a training run"
UNKNOWN = "metrics that trained the codec are not marked before the run has ended"
DEPTH = 3  # levels of folders between a sweep and its runs


class Run(NamedTuple):
    """A run and its last validation: value by metric by layer, including `bpp`. card: of its codec; None if there is
    none. described: metrics of the user's own judges.
    """

    name: str
    layers: dict[str, dict[str, float]]
    card: Mapping[str, Any] | None = None
    described: Mapping[str, MetricInfo] = {}


def read_runs(folder: Path) -> list[Curve]:
    """One curve per layer; none if the folder contains no runs. Raises HscError if no run has been validated yet."""
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
    """(the folder itself if it is a run, the runs inside it otherwise); one of the two lists is empty."""
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
    return bool(stages_of(folder)) and any(folder.glob("*/key.json"))


def stages_of(run: Path) -> list[str]:
    """The stages of a run in order; empty before it has started."""
    return _names_in(run, "run")


def layers_of(run: Path) -> list[str]:
    """The layers of a run's codec in coding order; empty before it has started."""
    return _names_in(run, "model", "layers")


def _names_in(run: Path, *keys: str) -> list[str]:
    content: Any = run_config(run)
    try:
        for key in keys:
            content = content[key]
        return list(content)
    except (KeyError, TypeError):
        return []


def run_config(run: Path) -> dict[str, Any]:
    """The resolved config of a run; empty if it has not started or the config cannot be read."""
    try:
        content = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _read_run(folder: Path) -> Run:
    """Uses the last finished stage that measured files."""
    for stage in reversed(stages_of(folder)):
        try:
            metrics = json.loads((folder / stage / "done.json").read_text(encoding="utf-8-sig"))["metrics"]
            own = as_in_results(read_own_metrics(folder / stage))
            layers = _by_layer(metrics, own)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
        if layers:
            return Run(folder.name, layers, read_card(folder), {info.name: info for info in own.values()})
    return Run(folder.name, {})


def read_card(run: Path) -> Mapping[str, Any] | None:
    """The card of a run's codec, which names the judges used in training; None if it does not exist yet."""
    from hsc.checkpoints import weights_file  # here, as torch takes seconds to import

    try:
        return weights_file.describe(run / "codec.safetensors").card
    except HscError:
        return None


def metrics_that_trained(
    metrics: Iterable[str], cards: Iterable[Mapping[str, Any]], described: Mapping[str, MetricInfo]
) -> list[str]:
    """The metrics whose judge, or another judge with the same backbone, was used to train a codec with one of these
    cards. described: metrics of the user's own judges."""
    cards = [card for card in cards if card.get("judges")]
    if not cards:
        return []
    from hsc.judges import families_in, families_of  # torch again

    judges = {judge for card in cards for judge in card["judges"]}
    families = set().union(*map(families_in, cards))

    def trained(metric: str) -> bool:
        info = described.get(metric) or metric_info(metric)
        if info is None:
            return metric in judges
        own = {info.family} if info.family else families_of([info.judge])
        return info.judge in judges or bool(own & families)

    return list(filter(trained, metrics))


def _read_wandb(path: Path) -> Run:
    name, values = last_values(path)
    return Run(name, _by_layer(values))


def _by_layer(values: Mapping[str, float], own: Mapping[str, MetricInfo] | None = None) -> dict[str, dict[str, float]]:
    """`val/LAYER/METRIC` grouped by layer; layers without a rate are left out. own: metrics not built into hsc, by
    their logged names."""
    own = own or {}
    layers: dict[str, dict[str, float]] = {}
    for key, value in values.items():
        stage, _, rest = key.partition("/")
        layer, _, metric = rest.partition("/")
        if stage == "val" and (metric == "bpp" or is_quality(metric) or metric in own):
            layers.setdefault(layer, {})[own[metric].name if metric in own else metric] = float(value)
    return {layer: metrics for layer, metrics in layers.items() if "bpp" in metrics}


def _curve(name: str, layer: str, runs: Sequence[Run], sweep: bool, folder: Path) -> Curve:
    metrics = dict.fromkeys(metric for run in runs for metric in run.layers[layer])
    values = {metric: np.array([run.layers[layer].get(metric, np.nan) for run in runs]) for metric in metrics}
    described = {name: info for run in runs for name, info in run.described.items()}
    return Curve(
        name=f"{name} {layer}",
        values=values,
        description=FROM_TRAINING if all(run.card is not None for run in runs) else f"{FROM_TRAINING}; {UNKNOWN}",
        trained_on=metrics_that_trained(metrics, [run.card or {} for run in runs], described),
        described=described,
        codec=name,
        layer=layer,
        labels=[run.name for run in runs] if sweep else [],
        source=folder,
    )
