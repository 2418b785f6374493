"""Rate–distortion curves: one figure per metric, as SVG and PNG."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hsc.errors import HscError
from hsc.evaluation.results import COUNTS, GENERATED, Curve
from hsc.metrics.info import MetricInfo

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colours without black and yellow: told apart by colour-blind eyes, on white and on dark.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6BB1", "#8A8A8A")
MARKERS = "osD^vP*X<>"
LAYER_STYLES = ((0, (1, 1.2)), (0, (5, 1.5)), "-", (0, (5, 1.2, 1, 1.2)))
INK = "#1a1a1a"  # text, axes and ticks

_SETTINGS = {
    "font.size": 9,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "grid.color": "#8a8a8a",
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "legend.fontsize": 8,
    "svg.fonttype": "none",  # text stays text: searchable, and editable in a drawing program
    "svg.hashsalt": "hsc",  # the same curves make the same file
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}


@dataclass(frozen=True)
class Style:
    """How a curve is drawn, the same in every figure."""

    colour: str
    marker: str
    line: str | tuple
    width: float


@dataclass(frozen=True)
class Points:
    """The points of a curve that have the metric, by rising rate. Bounds are None where there are no intervals."""

    bpp: np.ndarray
    value: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None
    place: np.ndarray  # of each point in the curve's own arrays


def points(curve: Curve, metric: str) -> Points:
    """What can be drawn of a curve; empty when it lacks the metric."""
    values = curve.values.get(metric, np.full(len(curve.bpp), np.nan))
    order = np.argsort(curve.bpp, kind="stable")
    place = order[(np.isfinite(values) & np.isfinite(curve.bpp) & (curve.bpp > 0))[order]]
    low, high = (bounds.get(metric) for bounds in (curve.low, curve.high))
    if low is None or high is None:
        return Points(curve.bpp[place], values[place], None, None, place)
    return Points(curve.bpp[place], values[place], low[place], high[place], place)


def styles(curves: Sequence[Curve]) -> list[Style]:
    """A colour for every codec; its layers differ by line and marker, and stand out by width."""
    codecs = list(dict.fromkeys(curve.codec for curve in curves))
    depth: dict[str, int] = {}
    chosen = []
    for curve in curves:
        number, layer = codecs.index(curve.codec), depth.get(curve.codec, 0)
        depth[curve.codec] = layer + 1
        colour = COLOURS[number % len(COLOURS)]
        if curve.layer:
            chosen.append(Style(colour, MARKERS[layer % 3], LAYER_STYLES[layer % len(LAYER_STYLES)], 1.9))
        else:
            chosen.append(Style(colour, MARKERS[(3 + number) % len(MARKERS)], "-", 1.0))
    return chosen


def draw(metric: str, curves: Sequence[Curve]) -> "Figure":
    """The curves of one metric over the rate (logarithmic), with bands of confidence where they are known.

    Parts carry group names that end up in the SVG: curve-N, band-N, legend-N and label-N for the Nth of `curves`.
    """
    plt = _matplotlib()
    info = curves[0].info(metric)
    with plt.rc_context(_SETTINGS):
        figure = _figure((6.3, 4.2), layout="constrained")
        axes = figure.add_subplot()
        lines = {}
        for number, (curve, style) in enumerate(zip(curves, styles(curves), strict=True)):
            shown = points(curve, metric)
            if len(shown.bpp):
                if curve.labels:
                    shown = _scatter(axes, info, shown, style)
                lines[number] = _draw_curve(axes, number, shown, style, info.scale)
        axes.set_xscale("log")
        axes.set_xlabel(f"Rate (bits per pixel, {COUNTS[curves[0].count]})")
        axes.set_ylabel(info.title)
        axes.grid(True)
        _label_rates(axes)
        _add_bytes_axis(axes, [curves[number] for number in lines])
        if any(curve.generated for curve in curves):
            axes.set_title(GENERATED, fontsize=9, color="#B00020")
        labels = [_label(curves[number], metric) for number in lines]
        legend = figure.legend(lines.values(), labels, loc="outside lower center", ncols=4, frameon=False)
        for number, handle, text in zip(lines, legend.get_lines(), legend.get_texts(), strict=True):
            handle.set_gid(f"legend-{number}")
            text.set_gid(f"label-{number}")
    return figure


def svg(figure: "Figure") -> str:
    """The figure as an SVG document; the same figure always gives the same text."""
    buffer = io.StringIO()
    with _matplotlib().rc_context(_SETTINGS):
        metadata = {"Date": None, "Creator": "hsc"}
        figure.savefig(buffer, format="svg", metadata=metadata)
    return buffer.getvalue()


def png(figure: "Figure") -> bytes:
    """The figure as a PNG of 300 dots an inch."""
    buffer = io.BytesIO()
    with _matplotlib().rc_context(_SETTINGS):
        figure.savefig(buffer, format="png", dpi=300, metadata={"Software": "hsc"})
    return buffer.getvalue()


def _scatter(axes, info: MetricInfo, shown: Points, style: Style) -> Points:
    """Draw every point of a sweep faintly; returns those on the Pareto front, which a line may join."""
    from hsc.evaluation.bdrate import on_front

    axes.scatter(
        shown.bpp, info.scale * shown.value, color=style.colour, marker=style.marker, s=14, alpha=0.35, linewidths=0
    )
    front = on_front(info, shown.bpp, shown.value)
    return Points(shown.bpp[front], shown.value[front], None, None, shown.place[front])


def _draw_curve(axes, number: int, shown: Points, style: Style, scale: float):
    if shown.low is not None and shown.high is not None:
        band = axes.fill_between(shown.bpp, scale * shown.low, scale * shown.high, color=style.colour, alpha=0.15, lw=0)
        band.set_gid(f"band-{number}")
    (line,) = axes.plot(
        shown.bpp,
        scale * shown.value,
        color=style.colour,
        marker=style.marker,
        markersize=4.5,
        linestyle=style.line,
        linewidth=style.width,
        gid=f"curve-{number}",
    )
    return line


def _label(curve: Curve, metric: str) -> str:
    return f"{curve.name} (trained on)" if metric in curve.trained_on else curve.name


def _label_rates(axes) -> None:
    """Plain decimals at 1, 2 and 5 instead of powers of ten: most figures span little more than one decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _add_bytes_axis(axes, curves: Sequence[Curve]) -> None:
    """Bytes of a file on top, where all images have one size."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    sizes = {curve.pixels for curve in curves}
    if len(sizes) != 1 or (pixels := sizes.pop()) is None:
        axes.spines["top"].set_visible(False)
        return
    top = axes.secondary_xaxis("top", functions=(lambda rate: rate * pixels / 8, lambda size: size * 8 / pixels))
    top.set_xlabel("Bytes a face")
    top.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    top.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:,.0f}"))
    top.xaxis.set_minor_formatter(NullFormatter())


def _figure(size: tuple[float, float], layout: str) -> "Figure":
    """A figure of its own: pyplot's global list of figures would keep every one alive."""
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout=layout)  # type: ignore[arg-type]


def _matplotlib():
    try:
        import matplotlib
    except ModuleNotFoundError as error:
        raise HscError("drawing curves needs matplotlib: pip install matplotlib") from error
    return matplotlib
