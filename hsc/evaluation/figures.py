"""Charts as figures for papers: one panel each, as SVG and PNG, by Matplotlib."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsc.errors import HscError
from hsc.evaluation.chart import DASHES, Chart, Line, Panel, Style
from hsc.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#1a1a1a"  # text, axes and ticks

_SETTINGS = {
    "font.size": 9,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "grid.color": "#8a8a8a",
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "legend.fontsize": 8,
    "svg.fonttype": "none",  # text is kept as text: searchable, and editable in a drawing program
    "svg.hashsalt": "hsc",  # the same curves give the same file
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}


def write_figure(chart: Chart, panel: Panel, view: str, stem: Path) -> None:
    """Write a panel of a chart over the rate as `stem`.svg and .png."""
    figure = draw(chart, panel, view)
    write_atomically(stem.with_name(f"{stem.name}.svg"), svg(figure).encode())
    write_atomically(stem.with_name(f"{stem.name}.png"), png(figure))


def draw(chart: Chart, panel: Panel, view: str) -> "Figure":
    """The lines of a panel over the rate (logarithmic), with confidence bands if available; line N has the id curve-N
    in the SVG."""
    with _matplotlib().rc_context(_SETTINGS):
        from matplotlib.figure import Figure  # pyplot's global list would keep every figure alive

        figure = Figure(figsize=(6.3, 4.2), layout="constrained")
        axes: Any = figure.add_subplot()
        for number, (name, style, line) in enumerate(zip(chart.names, chart.styles, panel.lines[view], strict=True)):
            if line is not None:
                _draw_line(axes, f"curve-{number}", name, style, line)
        axes.set(xscale="log", xlabel=chart.views[view], ylabel=panel.axis)
        axes.grid(True)
        _label_decades(axes.xaxis)
        if chart.pixels is None:
            axes.spines["top"].set_visible(False)
        else:
            bits = chart.pixels / 8  # bytes per bpp
            top = axes.secondary_xaxis("top", functions=(lambda rate: rate * bits, lambda size: size / bits))
            top.set_xlabel("Bytes per face")
            _label_decades(top.xaxis)
        if chart.warning:
            axes.set_title(chart.warning, fontsize=9, color="#B00020")
        figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure


def svg(figure: "Figure") -> str:
    """The figure as an SVG document; the same figure always gives the same text."""
    buffer = io.StringIO()
    with _matplotlib().rc_context(_SETTINGS):
        metadata = {"Date": None, "Creator": "hsc"}
        figure.savefig(buffer, format="svg", metadata=metadata)
    return buffer.getvalue()


def png(figure: "Figure") -> bytes:
    """The figure as a PNG at 300 dpi."""
    buffer = io.BytesIO()
    with _matplotlib().rc_context(_SETTINGS):
        figure.savefig(buffer, format="png", dpi=300, metadata={"Software": "hsc"})
    return buffer.getvalue()


def _draw_line(axes, identity: str, name: str, style: Style, line: Line) -> None:
    x, y = line.x, line.y
    if line.front is not None:  # a sweep: faint points, and a line through those on the Pareto front
        axes.scatter(x, y, color=style.colour, marker=style.marker, s=14, alpha=0.35, linewidths=0)
        x, y = x[line.front], y[line.front]
    elif line.low is not None and line.high is not None:
        axes.fill_between(x, line.low, line.high, color=style.colour, alpha=0.15, lw=0)
    axes.plot(
        x,
        y,
        label=f"{name} (trained on)" if line.trained_on else name,
        color=style.colour,
        marker=style.marker,
        markersize=4.5,
        linestyle=(0, DASHES[style.line]) if DASHES[style.line] else "-",
        linewidth=style.width,
        gid=identity,
    )


def _label_decades(axis) -> None:
    """Plain decimals at 1, 2 and 5 instead of powers of ten: most figures span little more than one decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_formatter(NullFormatter())


def _matplotlib():
    try:
        import matplotlib
    except ModuleNotFoundError as error:
        raise HscError("drawing curves needs matplotlib: pip install matplotlib") from error
    return matplotlib
