"""Pictures of a sweep: rate and distortion of all trials with their Pareto front, and parallel coordinates."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hsc.evaluation.curves import COLOURS, INK, MARKERS
from hsc.evaluation.quantities import quantity, sort_key
from hsc.sweeps.parameters import Parameter
from hsc.sweeps.results import Result
from hsc.sweeps.sweep_file import Sweep

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT, MARGIN = 960, 330, 110  # of the parallel coordinates, in pixels

_SETTINGS: dict[str, object] = {
    "font.size": 9,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "hsc",  # the same trials make the same file
    "grid.color": "#8a8a8a",
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}


@dataclass(frozen=True)
class Point:
    """One prefix of one trial's codec."""

    trial: int
    layer: str
    bpp: float
    value: float


def distortions(results: Sequence[Result]) -> list[str]:
    """Names of the qualities that trials logged beside a rate, such as lpips."""
    names = {
        name.rpartition("/")[2]
        for best in (one.outcome.best for one in results)
        for name in best
        if f"{name.rpartition('/')[0]}/bpp" in best
    }
    return sorted((name for name in names if quantity(name)), key=sort_key)


def points(results: Sequence[Result], metric: str) -> list[Point]:
    """Every prefix of every trial that has both a file's rate and the metric."""
    found = []
    for one in results:
        for name, value in one.outcome.best.items():
            _, layer, last = [*name.split("/"), "", ""][:3]
            bpp = one.outcome.best.get(f"val/{layer}/bpp")
            if last == metric and bpp:
                found.append(Point(one.trial.number, layer, bpp, value))
    return found


def pareto_front(found: Sequence[Point], higher_is_better: bool) -> list[Point]:
    """The points that no other beats in both rate and value, by rising rate."""
    front: list[Point] = []
    sign = -1 if higher_is_better else 1
    for point in sorted(found, key=lambda p: (p.bpp, sign * p.value)):
        if not front or sign * point.value < sign * front[-1].value:
            front.append(point)
    return front


def draw_rate_distortion(metric: str, results: Sequence[Result], chosen: int | None) -> "Figure":
    """All trials' prefixes, the Pareto front as a line, the chosen trial in a ring. Points have the group names
    `point-TRIAL-N` in the SVG."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    known, found = quantity(metric), points(results, metric)
    assert known is not None, metric
    layers = sorted({point.layer for point in found}, key=lambda layer: min(p.bpp for p in found if p.layer == layer))
    with rc_context(_SETTINGS):  # type: ignore[arg-type]
        figure = Figure(figsize=(6.3, 4.2), layout="constrained")
        axes = figure.add_subplot()
        front = pareto_front(found, known.higher_is_better)
        axes.plot([p.bpp for p in front], [known.scale * p.value for p in front], color="#8A8A8A", lw=1.2, zorder=1)
        for number, point in enumerate(found):
            place = layers.index(point.layer)
            (drawn,) = axes.plot(
                point.bpp,
                known.scale * point.value,
                **_marker(place),
                alpha=1 if point in front else 0.6,
                markeredgewidth=1.6 if point.trial == chosen else 0,
                markeredgecolor=INK,
            )
            drawn.set_gid(f"point-{point.trial}-{number}")
        axes.set_xlabel("Rate (bits per pixel, whole file)")
        axes.set_ylabel(f"{known.axis} {known.arrow}")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(True, alpha=0.3, linewidth=0.5)
        for place, layer in enumerate(layers):
            axes.plot(
                [], [], MARKERS[place % len(MARKERS)], color=COLOURS[place % len(COLOURS)], label=f"up to {layer}"
            )
        axes.plot([], [], color="#8A8A8A", label="Pareto front")
        figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure


def _marker(place: int) -> dict[str, Any]:
    return {
        "marker": MARKERS[place % len(MARKERS)],
        "color": COLOURS[place % len(COLOURS)],
        "linestyle": "none",
        "markersize": 6,
    }


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
            f'<polyline class="trial" data-trial="{one.trial.number}" points="{" ".join(path)}" '
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
