"""The comparison as one self-contained HTML page that loads nothing from elsewhere: it works as a mail attachment."""

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

from hsc.evaluation.chart import DASHES, Chart, Style
from hsc.evaluation.page_data import LAYER_COLOURS, bars_data, chart_data, table_data
from hsc.evaluation.results import COUNTS, Curve
from hsc.evaluation.table import Table

# Formats that something can be saved in, by file extension.
PICTURES = {"svg": "SVG", "png": "PNG"}
BARS = PICTURES | {"tex": "pgfplots"}
TABLES = {"csv": "CSV", "tex": "LaTeX"}
SCRIPTS = ("view.js", "save.js", "drawing.js", "chart.js", "tables.js")  # of all pages


@dataclass(frozen=True)
class View:
    """The content of the page for one way of counting bytes.

    count: a key of `COUNTS`. changes, headline, tables: tables above and below the curves.
    """

    count: str
    curves: Sequence[Curve]
    lead: str
    changes: Sequence[Table]
    headline: Sequence[Table]
    tables: Sequence[Table]

    @property
    def every_table(self) -> list[Table]:
        return [*self.changes, *self.headline, *self.tables]

    def has_points(self) -> bool:
        return any(np.isfinite(curve.bpp).any() for curve in self.curves)


def build_page(
    views: Sequence[View],
    chart: Chart,
    layers: Sequence[Table],
    warnings: Sequence[str],
    faces: Mapping[str, Any] | None = None,
    runs: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The page's HTML.

    views: of the same curves; the first is shown initially. chart: of these curves. layers: the bytes of each layer of
    each codec, from `layer_table`. faces: from `faces_data`. runs: how the results were measured, from result files.
    """
    parts = {
        "TITLE": "Rate–distortion comparison",
        "LEAD": _switched(views, lambda view: html.escape(view.lead), "span"),
        "WARNINGS": "\n".join(f'<p class="warning">{html.escape(warning)}</p>' for warning in warnings),
        "CONTROLS": _count_choice(views),
        "SECTIONS": "".join(
            [
                section("changes", "What changes", _switched_tables(views, "changes")) if views[0].changes else "",
                section("headline", "Bits saved", _switched_tables(views, "headline")),
                section("curves", "Curves", chart_part("curves", chart, "Codecs", "rate")),
                section("faces", "Faces", template("faces.html")) if faces else "",
                section("layers", "Bytes of each layer", "".join(map(_layers, layers))) if layers else "",
                section("tables", "More tables", _switched_tables(views, "tables", folded=True)),
                _runs(runs),
            ]
        ),
    }
    tables = {f"{view.count}-{table.name}": table for view in views for table in view.every_table}
    data = {
        "charts": {"curves": chart_data(chart)},
        "figures": {table.name: bars_data(table) for table in layers},
        "tables": table_data({**tables, **{table.name: table for table in layers}}),
        "faces": {**faces, "layer_colours": LAYER_COLOURS} if faces else None,
    }
    return fill_page(parts, data, "\n".join(map(template, (*SCRIPTS, "bars.js", "faces.js", "page.js"))))


def fill_page(parts: Mapping[str, str], data: Mapping[str, Any], script: str) -> str:
    """A page in the common style. parts: TITLE, LEAD, WARNINGS, CONTROLS and SECTIONS, as HTML. data: for its
    script."""
    titles = re.findall(r'<h2 id="([\w-]+)">(.*?)</h2>', parts["SECTIONS"])
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title in titles)
    # Escaped, so that nothing in it can end or open a script element.
    content = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    common = {
        "CONTENTS": links,
        "DATA": content,
        "STYLE": template("page.css"),
        "SCRIPT": script,
    }
    return re.sub(r"<!--([A-Z]+)-->", lambda match: {**common, **parts}[match[1]], template("page.html"))


def chart_part(name: str, chart: Chart, of: str, across: str) -> str:
    """A chart with its controls. name: its key in the page's data. of: what its lines are, in the plural. across: the
    quantity on its horizontal axis, in one word."""
    first = chart.first
    options = "".join(
        f'<option value="{html.escape(panel.name)}"{" selected" if place == first else ""}>{html.escape(panel.title)}'
        "</option>"
        for place, panel in enumerate(chart.panels)
    )
    parts = {
        "NAME": name,
        "METRICS": options,
        "LOG": " checked" if chart.logarithmic else "",
        "OF": of,
        "ACROSS": across,
        "LINES": "".join(map(_chip, chart.names, chart.styles)),
    }
    return re.sub(r"<!--([A-Z]+)-->", lambda match: parts[match[1]], template("chart.html"))


def figure_part(key: str, kinds: Mapping[str, str]) -> str:
    """A figure without controls, which a script draws from the page's data under `key`; `kinds`: formats it can be
    saved in."""
    return f'<div data-figure="{html.escape(key)}"><figure class="drawn scroll"></figure>{_saving(kinds)}</div>'


def table_part(key: str, table: Table) -> str:
    """A table that can be sorted and saved; `key`: its key in the page's data."""
    head = "".join(
        f'<th scope="col"><button type="button" data-higher="{_flag(column.higher_is_better)}">'
        f"{breakable(column.title)}</button></th>"
        for column in table.columns
    )
    rows = "".join(
        "<tr>" + "".join(_cell(table, place, cell) for place, cell in enumerate(row)) + "</tr>" for row in table.rows
    )
    wide = len(table.columns) > 4 or any(cell.interval for row in table.rows for cell in row)
    kind = ' class="wide"' if wide else ""  # its rows become lists on a phone
    grid = f'<div class="scroll"><table{kind}><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    summary = '<details class="why"><summary>Overlaps, intervals, and why cells hold a dash</summary>'
    notes = _notes(table.notes_with_intervals) + (
        f"{summary}{_notes(table.details)}</details>" if table.details else ""
    )
    return f'<div class="sortable" data-table="{html.escape(key)}">{grid}{notes}{_saving(TABLES)}</div>'


def breakable(text: str) -> str:
    """Text as HTML in which long names, such as stages.joint.learning_rate, may be wrapped between their parts."""
    return re.sub(r"(?<=[^\W\d])([./_:-]+)(?=[^\W\d])", r"\1<wbr>", html.escape(text))


def template(name: str) -> str:
    """A file of the page's folder."""
    return files("hsc.evaluation").joinpath("page", name).read_text(encoding="utf-8")


def _flag(higher_is_better: bool | None) -> str:
    return "" if higher_is_better is None else str(higher_is_better).lower()


def _cell(table: Table, place: int, cell: Any) -> str:
    text = breakable(cell.marked)
    text = f"<strong>{text}</strong>" if table.is_best(place, cell) else text
    text = f'<a href="{html.escape(cell.link)}">{text}</a>' if cell.link else text
    interval = f" <small>{html.escape(cell.interval)}</small>" if cell.interval else ""
    value = "" if cell.value is None else f' data-value="{cell.value:.9g}"'
    title = html.escape(table.columns[place].title)
    return f'<td{value} data-title="{title}">{text}{interval}</td>'


def _saving(kinds: Mapping[str, str]) -> str:
    buttons = " ".join(f'<button type="button" data-save="{kind}">{name}</button>' for kind, name in kinds.items())
    return f'<p class="saving">Save as {buttons}</p>'


def _count_choice(views: Sequence[View]) -> str:
    options = "".join(f'<option value="{view.count}">{COUNTS[view.count]}</option>' for view in views)
    hidden = " hidden" if len(views) == 1 else ""
    select = f'<select id="count" data-view="count">{options}</select>'
    return f'<p class="controls"{hidden}><label for="count">Rates count {select}</label></p>'


def section(name: str, title: str, content: str) -> str:
    """A section of the page, linked from its table of contents."""
    return f'<section aria-labelledby="{name}"><h2 id="{name}">{title}</h2>\n{content}\n</section>\n'


def _chip(name: str, style: Style) -> str:
    dash = " ".join(f"{3 * length:.1f}" for length in DASHES[style.line])
    line = f'<line x1="0" x2="30" y1="6" y2="6" stroke="{style.colour}" stroke-width="3" stroke-dasharray="{dash}"/>'
    swatch = f'<svg viewBox="0 0 30 12" aria-hidden="true">{line}</svg>'
    box = f'<input type="checkbox" value="{html.escape(name)}" checked>'
    return f'<label class="chip">{box}{swatch}<span>{html.escape(name)}</span></label>'


def _layers(table: Table) -> str:
    """The sizes of the layers as bars, with their table."""
    figure = figure_part(table.name, BARS)
    return f"<h3>{html.escape(table.title)}</h3>{figure}{table_part(table.name, table)}"


def _runs(runs: Sequence[Mapping[str, Any]]) -> str:
    """A section on how the results were made, with versions."""
    if not runs:
        return ""
    parts = []
    for run in runs:
        said = {name.replace("_", " "): _said(value) for name, value in run.items() if value}
        terms = "".join(f"<dt>{html.escape(name)}</dt><dd>{text}</dd>" for name, text in said.items())
        parts.append(f'<dl class="said">{terms}</dl>')
    return section("run", "What was run", "<hr>".join(parts))


def _said(value: Any) -> str:
    if isinstance(value, dict):
        lines = {str(name): str(one).removeprefix(f"{name}: ") for name, one in value.items()}
        return "".join(
            f"<div><strong>{html.escape(name)}</strong> {html.escape(one)}</div>" for name, one in lines.items()
        )
    return html.escape(str(value))


def _switched_tables(views: Sequence[View], which: str, folded: bool = False) -> str:
    def content(view: View) -> str:
        return "\n".join(_titled(f"{view.count}-{table.name}", table, folded) for table in getattr(view, which))

    return _switched(views, content)


def _switched(views: Sequence[View], content: Callable[[View], str], element: str = "div") -> str:
    """The content of each view here, with all but the first hidden."""
    parts = [
        f'<{element} data-count="{view.count}"{" hidden" if view is not views[0] else ""}>{content(view)}</{element}>'
        for view in views
    ]
    return "\n".join(parts)


def _titled(key: str, table: Table, folded: bool) -> str:
    title, content = html.escape(table.title), table_part(key, table)
    return f"<details><summary>{title}</summary>{content}</details>" if folded else f"<h3>{title}</h3>{content}"


def _notes(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    return f'<ul class="notes">{items}</ul>' if items else ""
