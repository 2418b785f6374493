"""`hsc compare`: one page of rate–distortion curves, BD-rates and equal-rate tables for any number of result files."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from hsc.errors import HscError
from hsc.evaluation.chart import Chart, Panel, rate_chart
from hsc.evaluation.comparison_tables import (
    delta_table,
    difference_table,
    equal_rate_table,
    front_table,
    layer_table,
    layers_table,
    quality_table,
    time_table,
)
from hsc.evaluation.face_pictures import faces_data, read_face_pictures
from hsc.evaluation.figures import write_figure
from hsc.evaluation.page_data import file_name
from hsc.evaluation.pgfplots import chart_pieces
from hsc.evaluation.report import View, build_page
from hsc.evaluation.results import COUNTS, GENERATED, Curve, counted, read_about, read_results
from hsc.evaluation.runs import FROM_TRAINING, read_runs
from hsc.evaluation.table import Table
from hsc.files import write_atomically
from hsc.metrics.info import sort_key

OUTPUTS = ("index.html", "tables.md", "*.svg", "*.png", "*.csv", "*.tex")
WIDTH_OF_FILES = 160  # columns, if standard output is not a terminal
# Default reference codecs for deltas, in order of preference, by their names (and encoders' names) in result files.
PREFERRED_REFERENCES = (r"vvc|vvenc|vtm|h\.?266", r"av1|libaom|aom", r"hevc|x265|hm|h\.?265", r"jpe?g")


def compare(results: Sequence[str | Path], out: str | Path, reference: str | None = None, count: str = "files") -> Path:
    """Compare result files (hsc's or CompressAI's) or folders of them, run folders, sweeps and W&B's offline runs;
    returns the path of index.html.

    Writes to `out`: for every metric a figure as METRIC.svg and METRIC.png and its numbers as METRIC.csv and METRIC.tex
    (pgfplots); all tables as tables.md and tables.tex (booktabs), and each as table-NAME.csv; index.html. `reference`
    names the reference curve of BD-rates: by default VVC, else another anchor, else the whole file of the first codec.
    `count`, a key of `hsc.evaluation.results.COUNTS`, selects the bytes that rates count; the page can switch it.

    Raises HscError if nothing can be drawn.
    """
    curves = unique_names(list(chain.from_iterable(map(read_curves, results))))
    described = {name: info for curve in curves for name, info in curve.described.items()}
    curves = [replace(curve, described=described) for curve in curves]
    metrics = sorted({metric for curve in curves for metric in curve.metrics}, key=sort_key)
    if not metrics:
        raise HscError(f"{', '.join(map(str, results))}: no known metric in these results, nothing to compare")
    chosen = find_reference(curves, reference)
    views = [_view([counted(curve, one) for curve in curves], curves.index(chosen), metrics) for one in COUNTS]
    views = sorted(filter(View.has_points, views), key=lambda view: view.count != count)
    if not views or views[0].count != count:
        raise HscError(f"no result here counts {COUNTS[count]}; give results of hsc evaluate, or another --count")
    out, warnings = Path(out), warnings_about(curves)
    chart = rate_chart({view.count: view.curves for view in views}, metrics)
    for panel in chart.panels:
        _write_panel(out, chart, panel, count)
    layers = [layer_table(prefixes) for prefixes in _layered(curves)]
    _write_tables(out, [*views[0].every_table, *layers], warnings)
    pictures = [kept for path in results if (kept := read_face_pictures(Path(path))) is not None]
    faces = faces_data(pictures, chosen.codec, described)
    runs = [{"results": Path(path).name, **about} for path in results if (about := read_about(path))]
    page = build_page(views, chart, layers, warnings, faces, runs)
    write_atomically(out / "index.html", page.encode())
    return out / "index.html"


def read_curves(path: str | Path) -> list[Curve]:
    """The curves of any input of `compare`."""
    folder = Path(path)
    if folder.is_dir() and not (folder / "results.json").is_file() and (curves := read_runs(folder)):
        return curves
    return read_results(path)


def unique_names(curves: Sequence[Curve]) -> list[Curve]:
    """Drop duplicate curves (an anchor evaluated with two codecs), and add the folder to other names that are equal."""
    different: list[Curve] = []
    for curve in curves:
        if not any(_same(curve, other) for other in different):
            different.append(curve)
    names = [curve.name for curve in different]
    told_apart = [
        replace(curve, name=f"{curve.name} ({_place(curve)})", codec=f"{curve.codec} ({_place(curve)})")
        if names.count(curve.name) > 1
        else curve
        for curve in different
    ]
    return [_numbered(curve, told_apart[:place]) for place, curve in enumerate(told_apart)]


def find_reference(curves: Sequence[Curve], name: str | None) -> Curve:
    """The curve of that name, or the default. Raises HscError for an unknown name."""
    names = [curve.name for curve in curves]
    if name is not None:
        if name not in names:
            raise HscError(f"there is no curve '{name}' to compare with; there are: {', '.join(names)}")
        return curves[names.index(name)]
    ladders = [curve for curve in curves if not curve.targets]
    for codec in PREFERRED_REFERENCES:
        for curve in ladders:
            if re.match(rf"({codec})(?![a-z0-9])", curve.codec, re.IGNORECASE):
                return curve
    unlayered = next((curve for curve in curves if not curve.layer), None)
    return unlayered or [curve for curve in curves if curve.codec == curves[0].codec][-1]


def equal_rates(curves: Sequence[Curve], reference: Curve) -> list[float]:
    """Rates for tables: points of the first layered codec's last layer, else of the reference. The first is the point
    nearest the middle that half of the codecs reach (at least two, or else the most that reach any point); then follow
    both ends and the middle."""
    layered = [curve for curve in curves if curve.layer]
    first = [curve for curve in layered if curve.codec == layered[0].codec]
    rates = (first[-1] if first else reference).bpp
    rates = np.unique(rates[np.isfinite(rates)])
    if not len(rates):
        return []
    measured = [curve for curve in curves if np.isfinite(curve.bpp).any()]
    ends = [(curve.codec, np.nanmin(curve.bpp), np.nanmax(curve.bpp)) for curve in measured]
    reached = [len({codec for codec, low, high in ends if low <= rate <= high}) for rate in rates]
    wanted = min(max(reached), max(2, (len({curve.codec for curve in measured}) + 1) // 2))
    middle = (len(rates) - 1) // 2
    best = min((place for place, count in enumerate(reached) if count >= wanted), key=lambda one: abs(one - middle))
    return list(dict.fromkeys(rates[[best, 0, middle, -1]].tolist()))


def warnings_about(curves: Sequence[Curve]) -> list[str]:
    """Warnings that a reader needs to interpret the numbers."""
    warnings = []
    if generated := [curve.name for curve in curves if curve.generated]:
        warnings.append(f"{', '.join(generated)}: {GENERATED}")
    for description in dict.fromkeys(curve.description for curve in curves):
        if description.startswith(FROM_TRAINING):
            during = [curve.name for curve in curves if curve.description == description]
            warnings.append(f"{', '.join(during)}: {description}")
    keys = {curve.data_key for curve in curves}
    if len(keys) > 1:
        known = (
            "not all curves say which images they were measured on"
            if "" in keys
            else "curves were measured on different images"
        )
        warnings.append(f"{known[0].upper()}{known[1:]}: compare them with care")
    if len({curve.images for curve in curves if curve.images}) > 1:
        warnings.append("Curves are means over different numbers of images")
    return warnings


def show_results(curves: Sequence[Curve]) -> None:
    """Print the results of a codec's whole files at each quality and, with other codecs, those of all at one rate."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:  # no width to fit into
        console.width = WIDTH_OF_FILES
    for table in telling_tables(curves):
        console.print(table.title, style="bold", markup=False)
        console.print(*table.rich(console.width))
        for note in table.notes:
            console.print(note, style="dim", markup=False)
        console.print()


def telling_tables(curves: Sequence[Curve]) -> list[Table]:
    metrics = sorted({metric for curve in curves for metric in curve.metrics}, key=sort_key)
    codec = curves[0].codec
    own = [curve for curve in curves if curve.codec == codec]
    tables = [quality_table(own[-1], metrics)]
    if len(own) < len(curves):
        rate, *_ = equal_rates(curves, find_reference(curves, None))
        tables.append(equal_rate_table(curves, metrics, rate))
    return tables


def _same(one: Curve, other: Curve) -> bool:
    """Whether the points are equal, apart from times, which differ from run to run."""
    return (
        (one.name, one.data_key, one.metrics) == (other.name, other.data_key, other.metrics)
        and np.array_equal(one.bpp, other.bpp)
        and all(np.array_equal(one.values[name], other.values[name], equal_nan=True) for name in one.metrics)
    )


def _numbered(curve: Curve, before: Sequence[Curve]) -> Curve:
    """The curve, with a number if its name is taken."""
    taken = sum(other.name == curve.name for other in before)
    return replace(curve, name=f"{curve.name} #{taken + 1}") if taken else curve


def _place(curve: Curve) -> str:
    """The folder that holds results.json, or the name of another file."""
    assert curve.source is not None
    return curve.source.resolve().parent.name if curve.source.name == "results.json" else curve.source.stem


def _write_panel(out: Path, chart: Chart, panel: Panel, count: str) -> None:
    """Write one metric's figure, and its numbers for papers."""
    stem = file_name(panel.name)
    write_figure(chart, panel, count, out / stem)
    write_atomically(out / f"{stem}.csv", "".join(chart.csv(panel, count)).encode())
    write_atomically(out / f"{stem}.tex", "".join(chart_pieces(chart, panel, count, chart.logarithmic)).encode())


def _write_tables(out: Path, tables: Sequence[Table], warnings: Sequence[str]) -> None:
    markdown = [*(f"> {warning}\n" for warning in warnings), *(table.markdown() for table in tables)]
    latex = [*(f"% {warning}\n" for warning in warnings), *(table.latex() for table in tables)]
    write_atomically(out / "tables.md", "\n".join(markdown).encode())
    write_atomically(out / "tables.tex", "\n".join(latex).encode())
    for table in tables:
        write_atomically(out / f"table-{file_name(table.name)}.csv", table.csv().encode())


def _view(curves: Sequence[Curve], reference: int, metrics: Sequence[str]) -> View:
    """The tables of curves whose rates count the same bytes; `reference` is the index of one of them."""
    chosen = curves[reference]
    saved = delta_table(curves, chosen, metrics, of_rate=True)
    equal = [equal_rate_table(curves, metrics, rate) for rate in equal_rates(curves, chosen)]
    fronts = [front_table(curve, metrics) for curve in curves if curve.labels and np.isfinite(curve.bpp).any()]
    times = [table for table in [time_table(curves)] if table]
    gained = delta_table(curves, chosen, metrics, of_rate=False)
    changes, differences = changes_between(curves, metrics)
    return View(
        chosen.count,
        curves,
        _lead(curves, chosen),
        changes,
        [saved, *equal[:1]],
        [*differences, gained, *equal[1:], *fronts, *times],
    )


def changes_between(curves: Sequence[Curve], metrics: Sequence[str]) -> tuple[list[Table], list[Table]]:
    """Differences of the other layered codecs from the first, if they were measured alike: bits at equal quality, and
    all metrics at equal quality level."""
    codecs = _layered(curves)
    pairs = [(codecs[0], after) for after in codecs[1:] if _alike(codecs[0], after)]
    saved = [layers_table(before, after, metrics) for before, after in pairs]
    differences = [difference_table(before, after, metrics) for before, after in pairs]
    return saved, list(filter(None, differences))


def _layered(curves: Sequence[Curve]) -> list[list[Curve]]:
    """The curves of each codec that has layers and qualities, in coding order."""
    codecs: dict[str, list[Curve]] = {}
    for curve in curves:
        if curve.layer and curve.qualities and "bytes" in curve.values:
            codecs.setdefault(curve.codec, []).append(curve)
    return list(codecs.values())


def _alike(before: Sequence[Curve], after: Sequence[Curve]) -> bool:
    """Whether two codecs have the same layers and qualities and were measured on the same images."""
    told = [
        [(curve.layer, curve.qualities, curve.data_key, curve.images_of and curve.images_of.names) for curve in codec]
        for codec in (before, after)
    ]
    return told[0] == told[1] and all(curve.images_of for curve in before)


def _lead(curves: Sequence[Curve], reference: Curve) -> str:
    headers = ", headers included" if reference.count == "files" else ", without headers"
    images = {curve.images for curve in curves if curve.images}
    measured = f"Means over {images.pop()} images. " if len(images) == 1 else ""
    return (
        f"{measured}Rates count {COUNTS[reference.count]}{headers}. BD-rates are against {reference.name}: "
        "the average difference of bits at equal quality, negative where bits are saved."
    )
