"""The comparison as one self-contained HTML page that requests nothing from anywhere: it works as a mail attachment."""

import html
import json
import re
from collections.abc import Sequence
from importlib.resources import files

from hsc.evaluation.curves import INK, points, styles
from hsc.evaluation.quantities import quantity
from hsc.evaluation.results import Curve
from hsc.evaluation.tables import Table


def build_page(
    curves: Sequence[Curve],
    metrics: Sequence[str],
    drawings: Sequence[str],
    headline: Table,
    tables: Sequence[Table],
    lead: str,
    warnings: Sequence[str],
) -> str:
    """The page's HTML. `drawings`: the SVG of each metric on a transparent ground; `tables`: shown below the curves."""
    parts = {
        "LEAD": html.escape(lead),
        "WARNINGS": "\n".join(f'<p class="warning">{html.escape(warning)}</p>' for warning in warnings),
        "HEADLINE": _table(headline),
        "METRICS": "".join(f'<option value="{n}">{_axis(metric)}</option>' for n, metric in enumerate(metrics)),
        "CODECS": "".join(map(_chip, range(len(curves)), curves, (style.colour for style in styles(curves)))),
        "FIGURES": "\n".join(map(_figure, range(len(metrics)), metrics, drawings)),
        "TABLES": "\n".join(f"<h3>{html.escape(table.title)}</h3>{_table(table)}" for table in tables),
        "DATA": _data(curves, metrics),
        "STYLE": _template("page.css"),
        "SCRIPT": _template("page.js"),
    }
    return re.sub(r"<!--([A-Z]+)-->", lambda match: parts[match[1]], _template("page.html"))


def inline_svg(document: str, prefix: str) -> str:
    """An SVG document as part of a page: without prologue and metadata, in the page's text colour, its ids made unique
    by `prefix`, and the parts of curves marked `data-part="curve" data-curve="N"`."""
    drawing = document[document.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r' xmlns(:\w+)?="[^"]*"', "", drawing)
    drawing = re.sub(r'\bid="', f'id="{prefix}', drawing)
    drawing = re.sub(r'href="#', f'href="#{prefix}', drawing)
    drawing = re.sub(r"url\(#", f"url(#{prefix}", drawing)
    drawing = drawing.replace("xlink:href", "href").replace(INK, "currentColor")
    named = re.compile(rf'id="({re.escape(prefix)}(curve|band|legend|label)-(\d+))"')
    return named.sub(r'id="\1" data-part="\2" data-curve="\3"', drawing)


def _figure(number: int, metric: str, drawing: str) -> str:
    drawing = inline_svg(drawing, f"m{number}-")
    caption = f"<figcaption>{_axis(metric)} over the rate</figcaption>"
    return f'<figure data-metric="{number}">{drawing}{caption}</figure>'


def _chip(number: int, curve: Curve, colour: str) -> str:
    return (
        f'<label class="chip"><input type="checkbox" value="{number}" checked>'
        f'<span class="swatch" style="background:{colour}"></span>{html.escape(curve.name)}</label>'
    )


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in table.header)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in table.notes)
    grid = f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    return grid + (f'<ul class="notes">{notes}</ul>' if notes else "")


def _data(curves: Sequence[Curve], metrics: Sequence[str]) -> str:
    texts = [
        {"points": {number: _point_texts(curve, metric) for number, curve in enumerate(curves)}} for metric in metrics
    ]
    content = json.dumps({"curves": [curve.name for curve in curves], "metrics": texts}, ensure_ascii=False)
    return content.replace("<", "\\u003c")  # nothing in it can end or open a script element


def _point_texts(curve: Curve, metric: str) -> list[str]:
    """What the page says at each marker, in the order they are drawn."""
    known, shown = quantity(metric), points(curve, metric)
    assert known is not None, metric
    texts = []
    for number, (bpp, value, place) in enumerate(zip(shown.bpp, shown.value, shown.place, strict=True)):
        rate = f"{bpp:.4f} bpp" + (f", {bpp * curve.pixels / 8:.1f} bytes" if curve.pixels else "")
        lines = [f"{known.label}: {known.show(value)} {known.unit}".rstrip()]
        if shown.low is not None and shown.high is not None:
            lines.append(f"95 %: {known.show(shown.low[number])} to {known.show(shown.high[number])}")
        quality = f"quality {curve.qualities[place]}" if place < len(curve.qualities) else ""
        texts.append("\n".join(filter(None, [quality, rate, *lines])))
    return texts


def _axis(metric: str) -> str:
    known = quantity(metric)
    assert known is not None, metric
    return html.escape(f"{known.axis} {known.arrow}")


def _template(name: str) -> str:
    return files("hsc.evaluation").joinpath("page", name).read_text(encoding="utf-8")
