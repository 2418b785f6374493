"""The comparison as one self-contained HTML page that requests nothing from anywhere: it works as a mail attachment."""

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from typing import Any

import numpy as np

from hsc.evaluation.counting import COUNTS
from hsc.evaluation.curves import Style, styles
from hsc.evaluation.page_data import script_data
from hsc.evaluation.portraits import WEBP_QUALITY
from hsc.evaluation.quantities import known
from hsc.evaluation.results import Curve
from hsc.evaluation.tables import Table

SCRIPTS = ("chart.js", "faces.js", "page.js")


@dataclass(frozen=True)
class View:
    """What the page shows where rates count one thing.

    count: a key of `COUNTS`. headline, tables: what stands above and below the curves.
    """

    count: str
    curves: Sequence[Curve]
    lead: str
    headline: Sequence[Table]
    tables: Sequence[Table]

    def has_points(self) -> bool:
        return any(np.isfinite(curve.bpp).any() for curve in self.curves)


def build_page(
    views: Sequence[View],
    metrics: Sequence[str],
    warnings: Sequence[str],
    galleries: Sequence[dict[str, Any]] = (),
    runs: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The page's HTML.

    views: of the same curves; the first is shown until another is chosen. galleries: pictures as `read_gallery` gives
    them. runs: what result files say about how they were made.
    """
    curves = views[0].curves
    parts = {
        "LEAD": _switched(views, lambda view: html.escape(view.lead), "span"),
        "COUNTS": "".join(f'<option value="{view.count}">{COUNTS[view.count]}</option>' for view in views),
        "ONE": "hidden" if len(views) == 1 else "",
        "WARNINGS": "\n".join(f'<p class="warning">{html.escape(warning)}</p>' for warning in warnings),
        "HEADLINE": _switched(views, lambda view: "\n".join(map(_titled, view.headline))),
        "METRICS": "".join(f'<option value="{n}">{_axis(metric)}</option>' for n, metric in enumerate(metrics)),
        "CODECS": "".join(map(_chip, range(len(curves)), curves, styles(curves))),
        "FACES": _faces(galleries),
        "BREAKDOWN": _breakdown(curves),
        "TABLES": _switched(views, lambda view: "\n".join(map(_folded, view.tables))),
        "RUN": _runs(runs),
        "DATA": script_data({view.count: view.curves for view in views}, metrics, galleries),
        "STYLE": _template("page.css"),
        "SCRIPT": "\n".join(map(_template, SCRIPTS)),
    }
    parts["CONTENTS"] = _contents(
        _template("page.html") + "".join(parts[name] for name in ("FACES", "BREAKDOWN", "RUN"))
    )
    return re.sub(r"<!--([A-Z]+)-->", lambda match: parts[match[1]], _template("page.html"))


def _contents(page: str) -> str:
    titles = dict(re.findall(r'<h2 id="(\w+)">(.*?)</h2>', page))
    order = ("headline", "curves", "faces", "layers", "tables", "run")
    return "".join(f'<a href="#{name}">{titles[name]}</a>' for name in order if name in titles)


def _chip(number: int, curve: Curve, style: Style) -> str:
    dash = "" if isinstance(style.line, str) else " ".join(f"{3 * length:.1f}" for length in style.line[1])
    line = f'<line x1="0" x2="30" y1="6" y2="6" stroke="{style.colour}" stroke-width="3" stroke-dasharray="{dash}"/>'
    swatch = f'<svg viewBox="0 0 30 12" aria-hidden="true">{line}</svg>'
    box = f'<input type="checkbox" value="{number}" checked>'
    return f'<label class="chip">{box}{swatch}{html.escape(curve.name)}</label>'


def _faces(galleries: Sequence[dict[str, Any]]) -> str:
    if not galleries:
        return ""
    shown = f"Pictures are kept as WebP at quality {WEBP_QUALITY}."
    return _template("faces.html").replace("<!--SHOWN-->", shown)


def _breakdown(curves: Sequence[Curve]) -> str:
    """Bars of the mean bytes of each layer, for every layered codec and quality."""
    layered = [curve for curve in curves if curve.layer and "bytes" in curve.values and curve.qualities]
    parts = [_codec_bars(codec, list(own)) for codec, own in groupby(layered, key=lambda curve: curve.codec)]
    if not parts:
        return ""
    hint = (
        "Mean bytes of a face. The first layer carries the file's header; each layer its length and checksum. "
        "“Ideal” is what the entropy model's probabilities come to."
    )
    title = '<section aria-labelledby="layers"><h2 id="layers">Bytes of each layer</h2>'
    return f'{title}{"".join(parts)}<p class="hint">{hint}</p></section>'


def _codec_bars(codec: str, prefixes: Sequence[Curve]) -> str:
    largest = max(prefixes[-1].values["bytes"])
    bars = []
    for place, quality in enumerate(prefixes[0].qualities):
        ends = [float(curve.values["bytes"][place]) for curve in prefixes]
        sizes = [end - start for start, end in zip([0.0, *ends[:-1]], ends, strict=True)]
        pieces = "".join(
            f'<span style="flex-grow:{size:.2f}" title="{html.escape(curve.layer)}: {size:.1f} bytes">{size:.1f}</span>'
            for curve, size in zip(prefixes, sizes, strict=True)
        )
        ideal = prefixes[-1].values.get("bpp_estimated")
        pixels = prefixes[-1].pixels
        words = f"ideal {ideal[place] * pixels / 8:.1f}" if ideal is not None and pixels else ""
        stack = f'<span class="stack" style="width:{100 * ends[-1] / largest:.1f}%">{pieces}</span>'
        total = f"<span><strong>{ends[-1]:.1f}</strong> <small>{words}</small></span>"
        bars.append(f'<div class="bar"><span>quality {quality}</span>{stack}{total}</div>')
    names = " → ".join(html.escape(curve.layer) for curve in prefixes)
    return f'<h3>{html.escape(codec)}: {names}</h3><div class="bars">{"".join(bars)}</div>'


def _runs(runs: Sequence[Mapping[str, Any]]) -> str:
    """What was run, with versions."""
    if not runs:
        return ""
    parts = []
    for run in runs:
        said = {name.replace("_", " "): _said(value) for name, value in run.items() if value}
        parts.append(
            f"<dl>{''.join(f'<dt>{html.escape(name)}</dt><dd>{text}</dd>' for name, text in said.items())}</dl>"
        )
    title = '<section class="run" aria-labelledby="run"><h2 id="run">What was run</h2>'
    return f"{title}{'<hr>'.join(parts)}</section>"


def _said(value: Any) -> str:
    if isinstance(value, dict):
        lines = {str(name): str(one).removeprefix(f"{name}: ") for name, one in value.items()}
        return "".join(
            f"<div><strong>{html.escape(name)}</strong> {html.escape(one)}</div>" for name, one in lines.items()
        )
    return html.escape(str(value))


def _switched(views: Sequence[View], content: Callable[[View], str], element: str = "div") -> str:
    """What each view has in this place, all but the first hidden."""
    parts = [
        f'<{element} data-count="{view.count}"{" hidden" if view is not views[0] else ""}>{content(view)}</{element}>'
        for view in views
    ]
    return "\n".join(parts)


def _folded(table: Table) -> str:
    return f"<details><summary>{html.escape(table.title)}</summary>{_table(table)}</details>"


def _titled(table: Table) -> str:
    return f"<h3>{html.escape(table.title)}</h3>{_table(table)}"


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in table.header)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    grid = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    summary = '<details class="why"><summary>Overlaps, intervals, and why cells hold a dash</summary>'
    return grid + _notes(table.notes) + (f"{summary}{_notes(table.details)}</details>" if table.details else "")


def _notes(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    return f'<ul class="notes">{items}</ul>' if items else ""


def _axis(metric: str) -> str:
    return html.escape(f"{known(metric).axis} {known(metric).arrow}")


def _template(name: str) -> str:
    return files("hsc.evaluation").joinpath("page", name).read_text(encoding="utf-8")
