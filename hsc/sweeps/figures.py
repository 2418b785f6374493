"""Figures of a sweep: rate and distortion of all trials, learning curves, and parallel coordinates."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from hsc.evaluation.chart import COLOURS, MARKERS, Chart, Line, Panel, Style
from hsc.evaluation.results import Curve
from hsc.evaluation.runs import metrics_that_trained, read_card
from hsc.metrics.info import MetricInfo, is_quality, metric_info, sort_key
from hsc.sweeps.parameters import Parameter
from hsc.sweeps.results import Result
from hsc.sweeps.sweep_file import Sweep
from hsc.sweeps.trials import SweepFolder

BEST, WORST = "#0072B2", "#D55E00"  # colours of trials


def own_metrics(results: Sequence[Result]) -> dict[str, MetricInfo]:
    """Descriptions of the metrics of the user's own judges, by name."""
    return {name: info for one in results for name, info in one.outcome.own.items()}


def distortions(results: Sequence[Result]) -> list[str]:
    """Names of the quality metrics that trials logged together with a rate, such as lpips."""
    own = own_metrics(results)
    names = {
        name.rpartition("/")[2]
        for best in (one.outcome.best for one in results)
        for name in best
        if f"{name.rpartition('/')[0]}/bpp" in best
    }
    return sorted((name for name in names if is_quality(name) or name in own), key=sort_key)


def trained_on(folder: SweepFolder, results: Sequence[Result]) -> set[str]:
    """Names of the quality metrics, such as lpips, on whose judges any trial was trained."""
    cards = [read_card(folder.run(one.trial)) or {} for one in results]
    return set(metrics_that_trained(distortions(results), cards, own_metrics(results)))


def rate_curves(results: Sequence[Result], trained: Collection[str] = ()) -> list[Curve]:
    """One cloud per layer, with one named point per trial; `trained`: metrics on whose judges any trial was trained."""
    in_order = [layer for one in results for layer in one.outcome.layers]
    logged = [name.split("/")[1] for one in results for name in one.outcome.best if name.endswith("/bpp")]
    curves, own = [], own_metrics(results)
    for layer in dict.fromkeys([*in_order, *logged]):
        measured = [one for one in results if one.outcome.best.get(f"val/{layer}/bpp")]
        if not measured:
            continue
        names = ["bpp", *distortions(measured)]
        values = {
            name: np.array([one.outcome.best.get(f"val/{layer}/{name}", np.nan) for one in measured]) for name in names
        }
        # Each layer is a separate codec, since the clouds differ by layer.
        labels = [f"trial {one.trial.name}" for one in measured]
        curves.append(
            Curve(f"up to {layer}", values, codec=layer, labels=labels, trained_on=list(trained), described=own)
        )
    return curves


def learning_chart(sweep: Sweep, results: Sequence[Result], trained: Collection[str] = ()) -> Chart:
    """The sweep's metric in the last stage over the number of training images, one line per trial, best first."""
    label, scale = _label(sweep.metric.name, own_metrics(results))
    marked = sweep.metric.quality in trained
    lines: list[Line] = []
    shown = [one for one in results if one.outcome.history]
    for one in shown:
        images, values = np.array(one.outcome.images), scale * np.array(one.outcome.history)
        said = sweep.describe(one.trial.values)
        points = [f"{seen:,.0f} images" for seen in images]
        texts = [f"{said}\n{point}\n{label}: {value:.4g}" for point, value in zip(points, values, strict=True)]
        lines.append(Line(images, values, points, texts, trained_on=marked))
    styles = [
        Style(COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)], "solid", 2.2 if place == 0 else 1.1)
        for place in range(len(shown))
    ]
    panel = Panel(sweep.metric.name, label, {"images": lines})
    names = [one.trial.name for one in shown]
    return Chart(names, styles, {"images": "Images seen in training"}, [panel], logarithmic=False)


def _label(metric: str, own: Mapping[str, MetricInfo]) -> tuple[str, float]:
    """Label and display factor of a logged metric such as val/enhanced/lpips."""
    _, layer, name = [*metric.split("/"), "", ""][:3]
    known = own.get(name) or metric_info(name)
    return (f"{known.title}, up to {layer}", known.scale) if known else (metric, 1.0)


class Axis(NamedTuple):
    """One vertical axis of the parallel coordinates. places: position of each trial, 0 (bottom) to 1, or None."""

    title: str
    places: list[float | None]
    ticks: list[tuple[float, str]]


def parallel_coordinates(sweep: Sweep, results: Sequence[Result]) -> dict[str, Any]:
    """One axis per searched parameter and one for the metric, and one line per trial that has a value, best first:
    for parallel.js, which documents the fields."""
    measured = [one for one in results if one.loss is not None]
    axes = [_axis(parameter, measured) for parameter in sweep.searched]
    axes.append(_numeric_axis(sweep.metric.name, [one.outcome.best[sweep.metric.name] for one in measured], False))
    lines = [
        {
            "trial": one.trial.name,
            "colour": _between(rank / max(len(measured) - 1, 1)),
            "places": [axis.places[rank] for axis in axes],
        }
        for rank, one in enumerate(measured)
    ]
    shown = [
        {"title": axis.title, "ticks": [{"place": place, "text": text} for place, text in axis.ticks]} for axis in axes
    ]
    title = f"Parallel coordinates of {sweep.name}"
    return {"name": "parallel_coordinates", "title": title, "axes": shown, "lines": lines}


def _between(share: float) -> str:
    """The colour of a trial, from 0 (best) to 1 (worst)."""
    ends = [np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) for colour in (BEST, WORST)]
    return "#" + "".join(f"{round(value):02X}" for value in (1 - share) * ends[0] + share * ends[1])


def _axis(parameter: Parameter, measured: Sequence[Result]) -> Axis:
    values = [one.trial.values.get(parameter.name) for one in measured]
    if "values" not in parameter.settings:
        return _numeric_axis(parameter.name, values, "log" in parameter.distribution)
    kinds = [str(value) for value in parameter.settings["values"]]
    places = {kind: (number + 0.5) / len(kinds) for number, kind in enumerate(kinds)}
    ticks = [(place, kind if len(kind) <= 16 else f"{kind[:15]}…") for kind, place in places.items()]
    return Axis(parameter.name, [places.get(str(value)) for value in values], ticks)


def _numeric_axis(title: str, values: list[Any], logarithmic: bool) -> Axis:
    numbers = [math.log(value) if logarithmic else float(value) for value in values]
    low, high = min(numbers), max(numbers)
    width = high - low or 1.0
    ends = [(0.0, min(values)), (1.0, max(values))] if high > low else [(0.5, values[0])]
    places: list[float | None] = [(number - low) / width if high > low else 0.5 for number in numbers]
    return Axis(title, places, [(place, f"{value:.4g}") for place, value in ends])
