"""The page's charts, of curves and of bars: what its scripts draw, and the same numbers as CSV and pgfplots for papers.

Both texts are kept in one piece per line, so that the page can leave out the lines its reader has hidden.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hsc.evaluation.bdrate import on_front
from hsc.evaluation.figures import LAYER_STYLES, MARKERS, Style, points, styles
from hsc.evaluation.results import COUNTS, Curve
from hsc.evaluation.table import TRAINED_NOTE, TRAINED_ON, Table, csv_text, latex_text

LAYER_COLOURS = ("#0072B2", "#009E73", "#D55E00", "#8C6BB1")
PGFPLOTS_END = "\\end{axis}\n\\end{tikzpicture}\n"
_MARKS = ("*", "square*", "diamond*", "triangle*", "triangle*, mark options={rotate=180}", "+", "star", "x")
_DASHES = ("densely dotted", "densely dashed", "solid", "dashdotted")  # for `LAYER_STYLES`


@dataclass(frozen=True)
class Line:
    """What is drawn of one curve, [points] in the units that are shown.

    points: what each is called. texts: what is said of each. low, high: confidence intervals, None where not known.
    front: of a cloud, which points the line joins; None where it joins all.
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
    """One choice of the chart's vertical axis: of each view, a line (or None) for each of the chart's names."""

    name: str
    axis: str
    lines: Mapping[str, Sequence[Line | None]]

    def marks(self, number: int) -> bool:
        """Whether the metric trained the codec of this line."""
        drawn = (lines[number] for lines in self.lines.values())
        return any(line is not None and line.trained_on for line in drawn)

    @property
    def trained_on(self) -> bool:
        return any(map(self.marks, range(len(next(iter(self.lines.values()))))))

    @property
    def title(self) -> str:
        """The axis, with a mark where the metric trained a codec that is shown."""
        return self.axis + (f" {TRAINED_ON}" if self.trained_on else "")


@dataclass(frozen=True)
class Chart:
    """views: titles of the horizontal axis, of which one is shown at a time. pixels: of an image, where rates are also
    shown as bytes. logarithmic: whether the horizontal axis begins so."""

    names: Sequence[str]
    styles: Sequence[Style]
    views: Mapping[str, str]
    panels: Sequence[Panel]
    pixels: int | None = None
    logarithmic: bool = True

    @property
    def first(self) -> int:
        """The panel to begin with: the first whose metric trained nothing that is shown."""
        return next((place for place, panel in enumerate(self.panels) if not panel.trained_on), 0)

    def data(self) -> dict[str, Any]:
        """For chart.js, which says what is in it."""
        return {
            "views": dict(self.views),
            "pixels": self.pixels,
            "curves": [_style(name, style) for name, style in zip(self.names, self.styles, strict=True)],
            "metrics": [
                {
                    "name": panel.name,
                    "axis": panel.title,
                    "trained_on": [number for number in range(len(self.names)) if panel.marks(number)],
                    "points": {
                        view: [[] if line is None else _points(line) for line in lines]
                        for view, lines in panel.lines.items()
                    },
                    "csv": {view: self._csv(panel, view) for view in panel.lines},
                    "pgfplots": {view: self._pgfplots(panel, view) for view in panel.lines},
                }
                for panel in self.panels
            ],
        }

    def csv(self, panel: Panel, view: str) -> str:
        """One row per point, of all lines."""
        parts = self._csv(panel, view)
        return "".join([parts["head"], *parts["curves"]])

    def pgfplots(self, panel: Panel, view: str) -> str:
        """A `tikzpicture` of all lines, with intervals as error bars."""
        parts = self._pgfplots(panel, view)
        return "".join([parts["log" if self.logarithmic else "linear"], *parts["curves"], parts["end"]])

    def _csv(self, panel: Panel, view: str) -> dict[str, Any]:
        head = csv_text([["curve", "point", self.views[view], panel.axis, "low", "high", "trained_on"]])
        named = zip(self.names, panel.lines[view], strict=True)
        return {"head": head, "curves": ["" if line is None else csv_text(_rows(name, line)) for name, line in named]}

    def _pgfplots(self, panel: Panel, view: str) -> dict[str, Any]:
        drawn = zip(self.names, self.styles, panel.lines[view], strict=True)
        heads = {mode: _axis(mode, self.views[view], panel.title) for mode in ("log", "linear")}
        return heads | {"curves": [_addplot(*one) for one in drawn], "end": PGFPLOTS_END}


def rate_chart(views: Mapping[str, Sequence[Curve]], metrics: Sequence[str]) -> Chart:
    """Every metric over the rate; views: the same curves under every count."""
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
    )


def _line(curve: Curve, metric: str) -> Line | None:
    shown, said = points(curve, metric), curve.info(metric)
    if not len(shown.bpp):
        return None
    bounds = None
    if shown.low is not None and shown.high is not None and np.isfinite([shown.low, shown.high]).all():
        bounds = shown.low, shown.high
    texts = []
    for number, (place, bpp, value) in enumerate(zip(shown.place, shown.bpp, shown.value, strict=True)):
        size = f", {bpp * curve.pixels / 8:.1f} bytes" if curve.pixels else ""
        lines = [curve.point_name(place), f"{bpp:.4f} bpp{size}"]
        lines.append(f"{said.label}: {said.show(value)} {said.unit}".rstrip())
        if bounds is not None:
            lines.append("95 %: " + " to ".join(said.show(of[number]) for of in bounds))
        if metric in curve.trained_on:
            lines.append(TRAINED_NOTE)
        texts.append("\n".join(filter(None, lines)))
    low, high = (None, None) if bounds is None else (said.scale * of for of in bounds)
    return Line(
        shown.bpp,
        said.scale * shown.value,
        [curve.point_name(place) for place in shown.place],
        texts,
        low,
        high,
        on_front(said, shown.bpp, shown.value) if curve.labels else None,
        metric in curve.trained_on,
    )


def _style(name: str, style: Style) -> dict[str, Any]:
    lengths = () if isinstance(style.line, str) else style.line[1]
    return {
        "name": name,
        "colour": style.colour,
        "dash": " ".join(f"{1.6 * style.width * length:.1f}" for length in lengths),
        "width": style.width,
        "marker": MARKERS.index(style.marker),
    }


def _points(line: Line) -> list[dict[str, Any]]:
    columns = {"x": line.x, "y": line.y, "low": line.low, "high": line.high}
    listed = []
    for number, text in enumerate(line.texts):
        point = {name: float(f"{column[number]:.6g}") for name, column in columns.items() if column is not None}
        joined = line.front is None or bool(line.front[number])
        listed.append(point | {"joined": joined, "text": text})
    return listed


def _rows(name: str, line: Line) -> list[list[str]]:
    rows = []
    for number, point in enumerate(line.points):
        columns = (line.x, line.y, line.low, line.high)
        numbers = ["" if column is None else f"{column[number]:.6g}" for column in columns]
        rows.append([name, point, *numbers, "yes" if line.trained_on else "no"])
    return rows


def _axis(mode: str, across: str, up: str) -> str:
    options = [
        "width=\\linewidth",
        "height=.66\\linewidth",
        f"xmode={mode}",
        "log ticks with fixed point",
        f"xlabel={{{latex_text(across)}}}",
        f"ylabel={{{latex_text(up)}}}",
        "grid=major",
        "legend style={at={(0.5,-0.2)}, anchor=north, legend columns=3, draw=none, font=\\small}",
        "error bars/y dir=both",
        "error bars/y explicit",
    ]
    return pgfplots_head(options)


def pgfplots_head(options: Sequence[str]) -> str:
    """The begin of a `tikzpicture` whose axis has these options; `PGFPLOTS_END` ends it."""
    comment = "% \\usepackage{pgfplots} \\pgfplotsset{compat=1.18}\n"
    return f"{comment}\\begin{{tikzpicture}}\n\\begin{{axis}}[\n  " + ",\n  ".join(options) + ",\n]\n"


def pgfplots_colour(colour: str) -> str:
    """A colour such as #0072B2."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"{{rgb,255:red,{red};green,{green};blue,{blue}}}"


def _addplot(name: str, style: Style, line: Line | None) -> str:
    if line is None:
        return ""
    options = [
        f"color={pgfplots_colour(style.colour)}",
        _DASHES[LAYER_STYLES.index(style.line)] if line.front is None else "only marks",
        f"mark={_MARKS[MARKERS.index(style.marker) % len(_MARKS)]}",
    ]
    coordinates = []
    for number, (x, y) in enumerate(zip(line.x, line.y, strict=True)):
        text = f"({x:.6g},{y:.6g})"
        if line.low is not None and line.high is not None:
            text += f" += (0,{line.high[number] - y:.4g}) -= (0,{y - line.low[number]:.4g})"
        coordinates.append(text)
    label = latex_text(name + (TRAINED_ON if line.trained_on else ""))
    body = "\n  ".join(coordinates)
    return f"\\addplot[{', '.join(options)}] coordinates {{\n  {body}\n}};\n\\addlegendentry{{{label}}}\n"


def layer_bars(table: Table) -> dict[str, Any]:
    """A bar for each row of a table as `layer_table` gives it, for bars.js, which says what is in it."""
    names = table.header
    layers = names[1 : names.index("whole file")]
    colours = [LAYER_COLOURS[place % len(LAYER_COLOURS)] for place in range(len(layers))]
    rows = [
        {"name": row[0].text, "bytes": [round(cell.value or 0.0, 2) for cell in row[1 : len(layers) + 1]]}
        for row in table.rows
    ]
    return {
        "title": table.title,
        "layers": [{"name": name, "colour": colour} for name, colour in zip(layers, colours, strict=True)],
        "rows": rows,
        "pgfplots": _stacked_bars(layers, colours, rows),
    }


def _stacked_bars(layers: list[str], colours: list[str], rows: list[dict[str, Any]]) -> str:
    """A `tikzpicture` of stacked bars."""
    names = [latex_text(row["name"]) for row in rows]
    options = [
        "xbar stacked",
        "width=\\linewidth",
        "xmin=0",
        "xlabel={Bytes per face}",
        f"ytick={{{','.join(map(str, range(len(rows))))}}}",
        f"yticklabels={{{','.join(f'{{{name}}}' for name in names)}}}",
        "y dir=reverse",
        "legend style={at={(0.5,-0.2)}, anchor=north, legend columns=-1, draw=none, font=\\small}",
    ]
    plots = []
    for layer, (name, colour) in enumerate(zip(layers, colours, strict=True)):
        coordinates = " ".join(f"({row['bytes'][layer]:g},{place})" for place, row in enumerate(rows))
        plots.append(
            f"\\addplot[draw=none, fill={pgfplots_colour(colour)}] coordinates {{{coordinates}}};\n"
            f"\\addlegendentry{{{latex_text(name)}}}\n"
        )
    return pgfplots_head(options) + "".join(plots) + PGFPLOTS_END
