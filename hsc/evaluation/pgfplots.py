"""Charts and stacked bars as pgfplots `tikzpicture`s, for papers in LaTeX."""

from collections.abc import Sequence

from hsc.evaluation.chart import Chart, Line, Panel, Style
from hsc.evaluation.table import TRAINED_ON, latex_text

_END = "\\end{axis}\n\\end{tikzpicture}\n"
_LEGEND = "legend style={{at={{(0.5,-0.2)}}, anchor=north, legend columns={}, draw=none, font=\\small}}"
_MARKS = {
    "o": "*", "s": "square*", "D": "diamond*", "^": "triangle*", "v": "triangle*, mark options={rotate=180}",
    "P": "+", "*": "star", "X": "x", "<": "triangle*, mark options={rotate=90}",
    ">": "triangle*, mark options={rotate=270}",
}  # fmt: skip
_LINES = {"dotted": "densely dotted", "dashed": "densely dashed"}


def chart_pieces(chart: Chart, panel: Panel, view: str, logarithmic: bool) -> list[str]:
    """The beginning of the picture, one piece per line of the chart (empty if it is None) with intervals as error
    bars, and the end."""
    options = [
        "width=\\linewidth",
        "height=.66\\linewidth",
        f"xmode={'log' if logarithmic else 'linear'}",
        "log ticks with fixed point",
        f"xlabel={{{latex_text(chart.views[view])}}}",
        f"ylabel={{{latex_text(panel.title)}}}",
        "grid=major",
        _LEGEND.format(3),
        "error bars/y dir=both",
        "error bars/y explicit",
    ]
    return [_head(options), *map(_addplot, chart.names, chart.styles, panel.lines[view]), _END]


def stacked_bars(names: Sequence[str], layers: Sequence[str], colours: Sequence[str], sizes: Sequence[list]) -> str:
    """One bar per name, stacked from one part per layer; `sizes`: bytes of the layers for each name."""
    labels = ",".join(f"{{{latex_text(name)}}}" for name in names)
    options = [
        "xbar stacked",
        "width=\\linewidth",
        "xmin=0",
        "xlabel={Bytes per face}",
        f"ytick={{{','.join(map(str, range(len(names))))}}}",
        f"yticklabels={{{labels}}}",
        "y dir=reverse",
        _LEGEND.format(-1),
    ]
    plots = []
    for layer, colour, of_layer in zip(layers, colours, zip(*sizes, strict=True), strict=True):
        coordinates = " ".join(f"({size:g},{place})" for place, size in enumerate(of_layer))
        plots.append(
            f"\\addplot[draw=none, fill={_colour(colour)}] coordinates {{{coordinates}}};\n"
            f"\\addlegendentry{{{latex_text(layer)}}}\n"
        )
    return _head(options) + "".join(plots) + _END


def _addplot(name: str, style: Style, line: Line | None) -> str:
    if line is None:
        return ""
    drawn = _LINES.get(style.line, style.line) if line.front is None else "only marks"
    options = f"color={_colour(style.colour)}, {drawn}, mark={_MARKS[style.marker]}"
    coordinates = []
    for number, (x, y) in enumerate(zip(line.x, line.y, strict=True)):
        text = f"({x:.6g},{y:.6g})"
        if line.low is not None and line.high is not None:
            text += f" += (0,{line.high[number] - y:.4g}) -= (0,{y - line.low[number]:.4g})"
        coordinates.append(text)
    label = latex_text(name + (TRAINED_ON if line.trained_on else ""))
    body = "\n  ".join(coordinates)
    return f"\\addplot[{options}] coordinates {{\n  {body}\n}};\n\\addlegendentry{{{label}}}\n"


def _head(options: Sequence[str]) -> str:
    comment = "% \\usepackage{pgfplots} \\pgfplotsset{compat=1.18}\n"
    return f"{comment}\\begin{{tikzpicture}}\n\\begin{{axis}}[\n  " + ",\n  ".join(options) + ",\n]\n"


def _colour(colour: str) -> str:
    """The colour, such as #0072B2, in xcolor's notation."""
    red, green, blue = bytes.fromhex(colour[1:])
    return f"{{rgb,255:red,{red};green,{green};blue,{blue}}}"
