"""Pictures of a sweep: rate and distortion of all trials, how they learn, and parallel coordinates."""

import html
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hsc.evaluation.chart import Chart, Line, Panel
from hsc.evaluation.figures import COLOURS, MARKERS, Style
from hsc.evaluation.results import Curve
from hsc.evaluation.runs import judges_that_trained, metrics_trained_with
from hsc.metrics.info import is_quality, metric_info, sort_key
from hsc.sweeps.parameters import Parameter
from hsc.sweeps.results import Result
from hsc.sweeps.sweep_file import Sweep
from hsc.sweeps.trials import SweepFolder

WIDTH, HEIGHT, MARGIN = 960, 330, 110  # of the parallel coordinates, in pixels


def distortions(results: Sequence[Result]) -> list[str]:
    """Names of the qualities that trials logged beside a rate, such as lpips."""
    names = {
        name.rpartition("/")[2]
        for best in (one.outcome.best for one in results)
        for name in best
        if f"{name.rpartition('/')[0]}/bpp" in best
    }
    return sorted((name for name in names if is_quality(name)), key=sort_key)


def trained_on(folder: SweepFolder, results: Sequence[Result]) -> set[str]:
    """Names of the qualities, such as lpips, whose judges trained one of the trials."""
    judges = {judge for one in results for judge in judges_that_trained(folder.run(one.trial)) or ()}
    return set(metrics_trained_with(distortions(results), judges))


def rate_curves(results: Sequence[Result], trained: Collection[str] = ()) -> list[Curve]:
    """A cloud per layer: every trial's prefix up to it, by its name; `trained`: qualities whose judges trained one."""
    layers = dict.fromkeys(
        name.split("/")[1]
        for one in results
        for name in one.outcome.best
        if name.count("/") == 2 and name.endswith("/bpp")
    )
    curves = []
    for layer in layers:
        measured = [one for one in results if one.outcome.best.get(f"val/{layer}/bpp")]
        names = ["bpp", *distortions(measured)]
        values = {
            name: np.array([one.outcome.best.get(f"val/{layer}/{name}", np.nan) for one in measured]) for name in names
        }
        # A codec of its own for each layer, as what tells trials' clouds apart is their layer.
        labels = [f"trial {one.trial.name}" for one in measured]
        curves.append(Curve(f"up to {layer}", values, codec=layer, labels=labels, trained_on=list(trained)))
    return sorted(curves, key=lambda curve: float(curve.bpp.min()))


def learning_chart(sweep: Sweep, results: Sequence[Result], trained: Collection[str] = ()) -> Chart:
    """The sweep's metric at each validation of the last stage, a line per trial, the best trial first."""
    label, scale = _label(sweep.metric.name)
    marked = sweep.metric.quality in trained
    lines: list[Line] = []
    shown = [one for one in results if one.outcome.history]
    for one in shown:
        values = scale * np.array(one.outcome.history)
        points = [f"validation {number}" for number in range(1, len(values) + 1)]
        said = sweep.describe(one.trial.values)
        texts = [f"{said}\n{point}\n{label}: {value:.4g}" for point, value in zip(points, values, strict=True)]
        lines.append(Line(np.arange(1.0, len(values) + 1), values, points, texts, trained_on=marked))
    styles = [
        Style(COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)], "-", 2.2 if place == 0 else 1.1)
        for place in range(len(shown))
    ]
    panel = Panel(sweep.metric.name, label, {"validations": lines})
    names = [one.trial.name for one in shown]
    return Chart(names, styles, {"validations": "Validation of the last stage"}, [panel], logarithmic=False)


def _label(metric: str) -> tuple[str, float]:
    """Of a logged metric such as val/enhanced/lpips: how it is called, and what shown values are multiplied by."""
    _, layer, name = [*metric.split("/"), "", ""][:3]
    known = metric_info(name)
    return (f"{known.title}, up to {layer}", known.scale) if known else (metric, 1.0)


@dataclass(frozen=True)
class Axis:
    """One upright line of the parallel coordinates. places: of each trial, 0 (bottom) to 1, None where it has none."""

    title: str
    places: list[float | None]
    ticks: list[tuple[float, str]]


def parallel_coordinates(sweep: Sweep, results: Sequence[Result]) -> str:
    """An SVG with an axis for each searched parameter and for the metric, and a line for each trial that has a value:
    `data-trial` says which. Colour goes from blue (best) to orange (worst)."""
    measured = [one for one in results if one.loss is not None]
    axes = [_axis(parameter, measured) for parameter in sweep.searched]
    axes.append(_numeric_axis(sweep.metric.name, [one.outcome.best[sweep.metric.name] for one in measured], False))
    step = (WIDTH - 2 * MARGIN) / max(len(axes) - 1, 1)
    parts = [f'<svg class="parallel" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="all trials">']
    for rank, one in reversed(list(enumerate(measured))):
        path = [
            f"{MARGIN + step * number:.1f},{_height(place):.1f}"
            for number, axis in enumerate(axes)
            if (place := axis.places[rank]) is not None
        ]
        share = rank / max(len(measured) - 1, 1)
        parts.append(
            f'<polyline class="trial" data-trial="{one.trial.name}" points="{" ".join(path)}" '
            f'style="stroke:color-mix(in oklab, #D55E00 {100 * share:.0f}%, #0072B2)"/>'
        )
    for number, axis in enumerate(axes):
        x = MARGIN + step * number
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{_height(0)}" y2="{_height(1)}"/>')
        parts.append(f'<text class="title" x="{x:.1f}" y="{20 + 14 * (number % 2)}">{html.escape(axis.title)}</text>')
        parts += [
            f'<text x="{x + 5:.1f}" y="{_height(place) + 4:.1f}">{html.escape(text)}</text>'
            for place, text in axis.ticks
        ]
    return "".join([*parts, "</svg>"])


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


def _height(place: float) -> float:
    top, bottom = 50, HEIGHT - 15
    return bottom - place * (bottom - top)
