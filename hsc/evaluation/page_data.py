"""Data that the pages' scripts draw and save: charts, bars and tables as JSON values."""

import re
from collections.abc import Mapping
from typing import Any

from hsc.evaluation import pgfplots
from hsc.evaluation.chart import DASHES, MARKERS, Chart, Line, Panel, Style
from hsc.evaluation.table import Table

LAYER_COLOURS = ("#0072B2", "#009E73", "#D55E00", "#8C6BB1")


def chart_data(chart: Chart) -> dict[str, Any]:
    """Data for chart.js, which documents its fields. Texts are split into one piece per line of the chart, so that the
    page can leave out lines that are hidden."""
    return {
        "views": dict(chart.views),
        "pixels": chart.pixels,
        "curves": [_style(name, style) for name, style in zip(chart.names, chart.styles, strict=True)],
        "metrics": [_panel(chart, panel) for panel in chart.panels],
    }


def bars_data(table: Table) -> dict[str, Any]:
    """One bar for each row of a table from `layer_table`, for bars.js, which documents the fields."""
    layers = table.header[1 : table.header.index("whole file")]
    colours = [LAYER_COLOURS[place % len(LAYER_COLOURS)] for place in range(len(layers))]
    names = [row[0].text for row in table.rows]
    sizes = [[round(cell.value or 0.0, 2) for cell in row[1 : len(layers) + 1]] for row in table.rows]
    return {
        "name": file_name(table.name),
        "title": table.title,
        "layers": [{"name": name, "colour": colour} for name, colour in zip(layers, colours, strict=True)],
        "rows": [{"name": name, "bytes": of_row} for name, of_row in zip(names, sizes, strict=True)],
        "pgfplots": pgfplots.stacked_bars(names, layers, colours, sizes),
    }


def table_data(tables: Mapping[str, Table]) -> dict[str, dict[str, str]]:
    """The texts that the page saves for each table, by the table's key in the page."""
    return {
        key: {"name": file_name(table.name), "csv": table.csv(), "tex": table.latex()} for key, table in tables.items()
    }


def file_name(name: str) -> str:
    """The name with characters that are safe in a file name."""
    return re.sub(r"[^\w.@-]", "-", name)


def _panel(chart: Chart, panel: Panel) -> dict[str, Any]:
    shown = {view: [[] if line is None else _points(line) for line in lines] for view, lines in panel.lines.items()}
    texts: dict[str, dict[str, Any]] = {"csv": {}, "pgfplots": {}}
    for view in panel.lines:
        head, *rows = chart.csv(panel, view)
        texts["csv"][view] = {"head": head, "curves": rows}
        log, *plots, end = pgfplots.chart_pieces(chart, panel, view, logarithmic=True)
        linear = pgfplots.chart_pieces(chart, panel, view, logarithmic=False)[0]
        texts["pgfplots"][view] = {"log": log, "linear": linear, "curves": plots, "end": end}
    trained_on = [number for number in range(len(chart.names)) if panel.marks(number)]
    return {"name": panel.name, "axis": panel.title, "trained_on": trained_on, "points": shown, **texts}


def _style(name: str, style: Style) -> dict[str, Any]:
    return {
        "name": name,
        "colour": style.colour,
        "dash": " ".join(f"{1.6 * style.width * length:.1f}" for length in DASHES[style.line]),
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
