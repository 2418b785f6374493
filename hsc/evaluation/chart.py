"""A chart of curves: its panels and the style of each curve. It is drawn by scripts on pages (`page_data`), and by
Matplotlib (`figures`) and LaTeX (`pgfplots`) on paper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hsc.evaluation.bdrate import on_front
from hsc.evaluation.results import COUNTS, GENERATED, Curve
from hsc.evaluation.table import TRAINED_NOTE, TRAINED_ON, csv_text

# Okabe and Ito's colours without black and yellow: colour-blind safe on white and dark backgrounds.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#8A8A8A")
MARKERS = "osD^vP*X<>"  # Matplotlib's marker codes
DASHES = {"dotted": (1, 1.2), "dashed": (5, 1.5), "solid": (), "dashdotted": (5, 1.2, 1, 1.2)}  # in line widths


@dataclass(frozen=True)
class Style:
    """Style of a curve, the same in every panel. marker: one of `MARKERS`. line: a key of `DASHES`."""

    colour: str
    marker: str
    line: str
    width: float


@dataclass(frozen=True)
class Line:
    """The data drawn for one curve, [points] in the displayed units.

    points: name of each. texts: description of each. low, high: confidence intervals, None if not available.
    front: for a cloud, which points the line joins; None if it joins all.
    """

    x: np.ndarray
    y: np.ndarray
    points: Sequence[str]
    texts: Sequence[str]
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    front: np.ndarray | None = None
    trained_on: bool = False


@dataclass(frozen=True)
class Panel:
    """One choice of the chart's vertical axis: for each view, a line (or None) for each of the chart's names."""

    name: str
    axis: str
    lines: Mapping[str, Sequence[Line | None]]

    def marks(self, number: int) -> bool:
        """Whether the codec of this line was trained on the metric."""
        drawn = (lines[number] for lines in self.lines.values())
        return any(line is not None and line.trained_on for line in drawn)

    @property
    def trained_on(self) -> bool:
        return any(map(self.marks, range(len(next(iter(self.lines.values()))))))

    @property
    def title(self) -> str:
        """The axis title, marked if a displayed codec was trained on the metric."""
        return self.axis + (f" {TRAINED_ON}" if self.trained_on else "")


@dataclass(frozen=True)
class Chart:
    """views: titles of the horizontal axis, shown one at a time. pixels: per image, if rates are also shown as bytes.
    logarithmic: whether the horizontal axis is initially logarithmic. warning: text above the chart on paper."""

    names: Sequence[str]
    styles: Sequence[Style]
    views: Mapping[str, str]
    panels: Sequence[Panel]
    pixels: int | None = None
    logarithmic: bool = True
    warning: str = ""

    @property
    def first(self) -> int:
        """The initial panel: the first on whose metric no displayed codec was trained."""
        return next((place for place, panel in enumerate(self.panels) if not panel.trained_on), 0)

    def csv(self, panel: Panel, view: str) -> list[str]:
        """The header, then the points of each line, one row per point; empty for a line that is None."""
        head = csv_text([["curve", "point", self.views[view], panel.axis, "low", "high", "trained_on"]])
        named = zip(self.names, panel.lines[view], strict=True)
        return [head, *("" if line is None else csv_text(_rows(name, line)) for name, line in named)]


def rate_chart(views: Mapping[str, Sequence[Curve]], metrics: Sequence[str]) -> Chart:
    """Every metric over the rate; views: the same curves for each way of counting bytes."""
    curves = next(iter(views.values()))
    sizes = {curve.pixels for curve in curves}
    panels = [
        Panel(
            metric,
            curves[0].info(metric).title,
            {count: [_line(curve, metric) for curve in counted] for count, counted in views.items()},
        )
        for metric in metrics
    ]
    return Chart(
        [curve.name for curve in curves],
        styles(curves),
        {count: f"Bits per pixel, {COUNTS[count]}" for count in views},
        panels,
        sizes.pop() if len(sizes) == 1 else None,
        warning=GENERATED if any(curve.generated for curve in curves) else "",
    )


def styles(curves: Sequence[Curve]) -> list[Style]:
    """One colour per codec; its layers differ by line style and marker, and have wider lines."""
    codecs, lines = list(dict.fromkeys(curve.codec for curve in curves)), list(DASHES)
    depth: dict[str, int] = {}
    chosen = []
    for curve in curves:
        number, layer = codecs.index(curve.codec), depth.get(curve.codec, 0)
        depth[curve.codec] = layer + 1
        colour = COLOURS[number % len(COLOURS)]
        if curve.layer:
            chosen.append(Style(colour, MARKERS[layer % 3], lines[layer % len(lines)], 1.9))
        else:
            chosen.append(Style(colour, MARKERS[(3 + number) % len(MARKERS)], "solid", 1.0))
    return chosen


def _line(curve: Curve, metric: str) -> Line | None:
    places, said = curve.measured(metric), curve.info(metric)
    if not len(places):
        return None
    x, y = curve.bpp[places], said.scale * curve.values[metric][places]
    bounds = [said.scale * of[metric][places] for of in (curve.low, curve.high) if metric in of]
    low, high = bounds if len(bounds) == 2 and np.isfinite(bounds).all() else (None, None)
    trained_on = metric in curve.trained_on
    names, texts = [curve.point_name(place) for place in places], []
    for number, (name, bpp) in enumerate(zip(names, x, strict=True)):
        size = f", {bpp * curve.pixels / 8:.1f} bytes" if curve.pixels else ""
        lines = [name, f"{bpp:.4f} bpp{size}", f"{said.label}: {y[number]:.{said.decimals}f} {said.unit}".rstrip()]
        if low is not None and high is not None:
            lines.append(f"95 %: {low[number]:.{said.decimals}f} to {high[number]:.{said.decimals}f}")
        texts.append("\n".join(filter(None, [*lines, TRAINED_NOTE if trained_on else ""])))
    front = on_front(said, x, curve.values[metric][places]) if curve.labels else None
    return Line(x, y, names, texts, low, high, front, trained_on)


def _rows(name: str, line: Line) -> list[list[str]]:
    rows = []
    for number, point in enumerate(line.points):
        columns = (line.x, line.y, line.low, line.high)
        numbers = ["" if column is None else f"{column[number]:.6g}" for column in columns]
        rows.append([name, point, *numbers, "yes" if line.trained_on else "no"])
    return rows
