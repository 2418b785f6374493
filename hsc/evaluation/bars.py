"""The bytes of a codec's layers as bars: what the page's script draws, and the same bars as pgfplots for papers."""

from typing import Any

from hsc.evaluation.chart import PGFPLOTS_END, pgfplots_colour, pgfplots_head
from hsc.evaluation.table import Table, latex_text

COLOURS = ("#0072B2", "#009E73", "#D55E00", "#8C6BB1")  # as in page.css


def layer_bars(table: Table) -> dict[str, Any]:
    """A bar for each row of a table as `layer_table` gives it, for bars.js, which says what is in it."""
    names = table.header
    layers = names[1 : names.index("whole file")]
    colours = [COLOURS[place % len(COLOURS)] for place in range(len(layers))]
    rows = [
        {"name": row[0].text, "bytes": [round(cell.value or 0.0, 2) for cell in row[1 : len(layers) + 1]]}
        for row in table.rows
    ]
    return {
        "title": table.title,
        "layers": [{"name": name, "colour": colour} for name, colour in zip(layers, colours, strict=True)],
        "rows": rows,
        "pgfplots": _pgfplots(layers, colours, rows),
    }


def _pgfplots(layers: list[str], colours: list[str], rows: list[dict[str, Any]]) -> str:
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
