"""The tables of a comparison: BD-rates, values at one rate, differences, Pareto fronts, times, bytes of layers."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from hsc.evaluation.bdrate import bd_metric, bd_rate, in_noise, on_front
from hsc.evaluation.bootstrap import CONFIDENCE, bootstrap_interval, interval_of
from hsc.evaluation.results import COUNTS, Curve
from hsc.evaluation.table import TRAINED_NOTE, Cell, Column, Table
from hsc.metrics.info import MetricInfo
from hsc.progress import number_of

NOTHING = "–"
ON_FRONT = "★"
INTERVALS = f"{100 * CONFIDENCE:.0f} % intervals"
MS_SSIM_IN_DB = MetricInfo("ms_ssim", "MS-SSIM", True, "dB", 2)  # as in its BD-metric


def metric_column(info: MetricInfo) -> Column:
    return Column(info.title, info.higher_is_better)


def delta_table(curves: Sequence[Curve], reference: Curve, metrics: Sequence[str], of_rate: bool) -> Table:
    """BD-rate (percent) or BD-metric (the metric's own units) of every curve against `reference`.

    A cell is empty if one of the two lacks the metric, and a dash if there is no value for a reason given in the notes.
    A value is followed by its confidence interval if per-image values are available.
    """
    against = f"{reference.name}, {COUNTS[reference.count]}"
    if of_rate:
        name, title = "bd_rate", f"BD-rate against {against}: percent of bits more (+) or fewer (−) at equal quality"
    else:
        name, title = "bd_metric", f"BD-metric against {against}: mean difference at equal rate"
    pairs = [(reference, curve) for curve in curves if curve is not reference]
    infos = [reference.info(metric) for metric in metrics]
    if not of_rate:
        infos = [MS_SSIM_IN_DB if info.name == MS_SSIM_IN_DB.name else info for info in infos]
    return _deltas(name, title, pairs, infos, of_rate)


def layers_table(before: Sequence[Curve], after: Sequence[Curve], metrics: Sequence[str]) -> Table:
    """BD-rate of every layer of a codec against the same layer of another."""
    codecs = f"{after[0].codec} against {before[0].codec}, layer by layer, {COUNTS[after[0].count]}"
    title = f"BD-rate of {codecs}: percent of bits more (+) or fewer (−) at equal quality"
    pairs = list(zip(before, after, strict=True))
    infos = [after[0].info(metric) for metric in metrics]
    return _deltas(f"bd_rate_{after[0].codec}", title, pairs, infos, of_rate=True, ranked=False)


def _deltas(
    name: str,
    title: str,
    pairs: Sequence[tuple[Curve, Curve]],
    infos: Sequence[MetricInfo],
    of_rate: bool,
    ranked: bool = True,
) -> Table:
    """One row per (reference, test); `ranked`: the best value of each column is in bold."""
    rows, refusals, overlaps, intervals = [], [], [], False
    show = {info.name: _percent if of_rate else _signed(info) for info in infos}
    for reference, curve in pairs:
        cells, shared = [Cell(curve.name)], []
        for info in infos:
            metric = info.name
            if metric not in reference.values or metric not in curve.values:
                cells.append(Cell(""))
                continue
            delta = (bd_rate if of_rate else bd_metric)(reference, curve, metric)
            if delta.value is None:
                refusals.append((curve.name, info.label, delta.refusal))
            if delta.overlap is not None:
                shared.append(f"{info.label} {delta.overlap:.0%}")
            trained_on = metric in curve.trained_on or metric in reference.trained_on
            cells.append(_cell(delta.value, (delta.low, delta.high), show[metric], trained_on))
            intervals |= delta.low is not None
        rows.append(cells)
        if shared:
            overlaps.append(f"{curve.name}: {', '.join(shared)}.")
    columns = [Column(info.label, False) if of_rate else metric_column(info) for info in infos]
    if not ranked:
        columns = [Column(column.title) for column in columns]
    if overlaps:
        what = "quality" if of_rate else "log rate"
        references = {reference.name for reference, _ in pairs}
        shared_with = references.pop() if len(references) == 1 else "its counterpart"
        overlaps[0] = f"Range of {what} shared with {shared_with} ÷ the shorter range. {overlaps[0]}"
    notes = _trained_note([curve for pair in pairs for curve in pair], [info.name for info in infos], ranked)
    brackets = f"In brackets {INTERVALS}, from resampling the images, identically for both curves." if intervals else ""
    curves = list({curve.name: curve for pair in pairs for curve in pair}.values())
    details = _refusal_notes(refusals) + _noise_notes(curves, infos) + overlaps
    return Table(name, title, [Column("codec"), *columns], rows, notes, brackets, details)


def difference_table(before: Sequence[Curve], after: Sequence[Curve], metrics: Sequence[str]) -> Table | None:
    """Mean differences between two codecs at the same layer and quality, over the images of both, with paired
    intervals; None if per-image values are not available."""
    rows = []
    for old, new in zip(before, after, strict=True):
        one, other = old.images_of, new.images_of
        if one is None or other is None:
            return None
        for place in range(len(new.bpp)):
            more = (new.bpp[place] / old.bpp[place] - 1) * 100
            cells = [Cell(f"{new.layer}, {new.point_name(place)}"), _cell(more, None, _percent, False)]
            rows.append([*cells, *(_difference_cell(old, new, metric, place) for metric in metrics)])
    columns = [Column("layer"), Column("bits"), *(Column(after[0].info(metric).title) for metric in metrics)]
    codecs = f"{after[0].codec} less {before[0].codec}"
    brackets = f"In brackets paired {INTERVALS} of the mean over images."
    title = f"{codecs} at equal layer and quality: mean difference over the same {after[0].images} images"
    curves = [*before, *after]
    return Table(f"difference_{after[0].codec}", title, columns, rows, _trained_note(curves, metrics), brackets)


def _difference_cell(before: Curve, after: Curve, metric: str, place: int) -> Cell:
    if metric not in before.values or metric not in after.values:
        return Cell("")
    one, other = before.images_of, after.images_of
    assert one is not None
    assert other is not None
    show, trained = _signed(after.info(metric)), metric in {*before.trained_on, *after.trained_on}
    if metric not in one.values or metric not in other.values:  # a metric of sets, not of single images
        return _cell(after.values[metric][place] - before.values[metric][place], None, show, trained)
    differences = other.values[metric][place] - one.values[metric][place]
    finite = differences[np.isfinite(differences)]
    mean, *bounds = bootstrap_interval(finite) if len(finite) else (None, None, None)
    return _cell(mean, bounds, show, trained)


def equal_rate_table(curves: Sequence[Curve], metrics: Sequence[str], bpp: float) -> Table:
    """Every metric of every curve at one rate, interpolated linearly in log rate, without extrapolation.

    A value is followed by its confidence interval if per-image values are available. Curves that do not reach the rate
    are named below the table.
    """
    rows, elsewhere, intervals = [], [], False
    for curve in curves:
        cells = [
            _cell(
                value_at(curve, metric, bpp),
                interval_at(curve, metric, bpp),
                curve.info(metric).show,
                metric in curve.trained_on,
            )
            for metric in metrics
        ]
        intervals |= any(cell.interval for cell in cells)
        if any(cell.value is not None for cell in cells):
            rows.append([Cell(curve.name), *cells])
        else:
            elsewhere.append(curve.name)
    pixels = {curve.pixels for curve in curves}
    size = next(iter(pixels)) if len(pixels) == 1 else None
    title = f"At {bpp:.4f} bpp" + (f" ({bpp * size / 8:.0f} bytes per face)" if size else "")
    if curves[0].count != "files":
        title += f", {COUNTS[curves[0].count]}"
    notes = _trained_note(curves, metrics, ranked=True)
    brackets = f"In brackets {INTERVALS} of the mean over images." if intervals else ""
    notes += [f"Not measured around this rate: {', '.join(elsewhere)}."] if elsewhere else []
    columns = [metric_column(curves[0].info(metric)) for metric in metrics]
    return Table(f"at_{bpp:.4f}_bpp", title, [Column("codec"), *columns], rows, notes, brackets)


def quality_table(curve: Curve, metrics: Sequence[str]) -> Table:
    """Bytes and every metric of a curve at each of its points."""
    measured = [metric for metric in metrics if metric in curve.values]
    rows = []
    for place, bpp in enumerate(curve.bpp):
        sizes = [Cell(f"{bpp * curve.pixels / 8:.1f}", float(bpp))] if curve.pixels else []
        cells = [Cell(curve.point_name(place)), *sizes, Cell(f"{bpp:.4f}", float(bpp))]
        rows.append([*cells, *(_point_cell(curve, metric, place) for metric in measured)])
    columns = [Column("point"), *([Column("bytes")] if curve.pixels else []), Column("bpp")]
    columns += [Column(curve.info(metric).title) for metric in measured]
    title = f"{curve.name}, means over {number_of(curve.images, 'face')}" if curve.images else curve.name
    return Table(f"points_{curve.name}", title, columns, rows, _trained_note([curve], measured))


def _point_cell(curve: Curve, metric: str, place: int) -> Cell:
    bounds = [of[metric][place] if metric in of else None for of in (curve.low, curve.high)]
    return _cell(curve.values[metric][place], bounds, curve.info(metric).show, metric in curve.trained_on)


def front_table(curve: Curve, metrics: Sequence[str]) -> Table:
    """The trials of a sweep that are on the Pareto front of any metric over the rate, by increasing rate."""
    fronts = {
        metric: on_front(curve.info(metric), curve.bpp, curve.values[metric])
        for metric in metrics
        if metric in curve.values
    }
    rows = []
    for place in np.argsort(curve.bpp, kind="stable"):
        if any(front[place] for front in fronts.values()):
            cells = [_front_cell(curve, metric, place, bool(front[place])) for metric, front in fronts.items()]
            rows.append([Cell(curve.labels[place]), Cell(f"{curve.bpp[place]:.4f}", float(curve.bpp[place])), *cells])
    columns = [Column("trial"), Column("bpp"), *(metric_column(curve.info(metric)) for metric in fronts)]
    note = f"{ON_FRONT} No trial of the {len(curve.labels)} is as good at fewer bits, or better at the same bits."
    notes = [note, *_trained_note([curve], metrics)]
    return Table(f"front_{curve.name}", f"Pareto front of {curve.name}", columns, rows, notes)


def _front_cell(curve: Curve, metric: str, place: int, on_it: bool) -> Cell:
    cell = _point_cell(curve, metric, place)
    return replace(cell, text=cell.text + ON_FRONT) if on_it else cell


def time_table(curves: Sequence[Curve]) -> Table | None:
    """Milliseconds per image of every curve that was timed, means over its points; None if none was."""
    columns = ("encode_seconds", "decode_seconds")
    timed = [curve for curve in curves if all(np.isfinite(curve.values.get(name, np.nan)).any() for name in columns)]
    rows = []
    for curve in timed:
        means = [1000 * float(np.nanmean(curve.values[name])) for name in columns]
        rows.append([Cell(curve.name), *(Cell(f"{mean:.1f}", mean) for mean in means)])
    note = "Wall times from the result files; machines, batch sizes and process start-up may differ."
    header = [Column("codec"), Column("encode", False), Column("decode", False)]
    return Table("times", "Milliseconds per image", header, rows, [note]) if rows else None


def layer_table(prefixes: Sequence[Curve]) -> Table:
    """Mean bytes of each layer of a codec at every quality; `prefixes` are its curves in coding order."""
    names = [curve.layer for curve in prefixes]
    ideal = prefixes[-1].values.get("bpp_estimated")
    pixels = prefixes[-1].pixels
    rows = []
    for place in range(len(prefixes[0].qualities)):
        sizes = np.diff([0.0, *(float(curve.values["bytes"][place]) for curve in prefixes)])
        numbers = [*map(float, sizes), float(sizes.sum())]
        if ideal is not None and pixels:
            numbers.append(float(ideal[place]) * pixels / 8)
        rows.append([Cell(prefixes[0].point_name(place)), *(Cell(f"{number:.1f}", number) for number in numbers)])
    columns = [Column(prefixes[0].codec), *map(Column, [*names, "whole file"])]
    columns += [Column("ideal")] if ideal is not None and pixels else []
    note = (
        "Mean bytes per face. The first layer includes the file's header; each layer its length and checksum. "
        "“Ideal” is what the entropy model's probabilities come to."
    )
    return Table(f"layers_{prefixes[0].codec}", f"Bytes of each layer of {prefixes[0].codec}", columns, rows, [note])


def value_at(curve: Curve, metric: str, bpp: float) -> float | None:
    """The metric at a rate; None outside the curve's measured range."""
    places, tolerance = curve.measured(metric), 1e-9
    rates = curve.bpp[places]
    if not len(rates) or not rates[0] * (1 - tolerance) <= bpp <= rates[-1] * (1 + tolerance):
        return None
    return float(np.interp(np.log(bpp), np.log(rates), curve.values[metric][places]))


def interval_at(curve: Curve, metric: str, bpp: float) -> tuple[float, float] | None:
    """The confidence interval of `value_at`: images are resampled, and both axes are means over the same resample."""
    images = curve.images_of
    if images is None or metric not in images.values:
        return None
    rates, values = images.resampled["bpp"], images.resampled[metric]
    measured = np.isfinite(rates).all(axis=0) & np.isfinite(values).all(axis=0)
    if measured.sum() < 1:
        return None
    order = np.argsort(curve.bpp[measured], kind="stable")
    at = _interpolated(np.log(bpp), np.log(rates[:, measured][:, order]), values[:, measured][:, order])
    return interval_of(at)


def _interpolated(x: float, places: np.ndarray, values: np.ndarray) -> np.ndarray:
    """[R]: `np.interp` at one x of each of R curves [R, points], each with its own abscissae."""
    if places.shape[1] == 1:
        return values[:, 0]
    right = np.clip((places < x).sum(axis=1), 1, places.shape[1] - 1)
    (x0, x1), (y0, y1) = (
        [np.take_along_axis(of, (right + shift)[:, None], axis=1)[:, 0] for shift in (-1, 0)] for of in (places, values)
    )
    share = np.clip((x - x0) / np.maximum(x1 - x0, 1e-12), 0, 1)
    return y0 + share * (y1 - y0)


def _cell(
    value: float | None, bounds: Sequence[float | None] | None, show: Callable[[float], str], trained_on: bool
) -> Cell:
    """A value with its interval, if it has both bounds; a dash if the value is not finite."""
    if value is None or not np.isfinite(value):
        return Cell(NOTHING)
    ends = [show(bound).removesuffix(" %") for bound in bounds or () if bound is not None]
    return Cell(show(value), float(value), f"[{', '.join(ends)}]" if len(ends) == 2 else "", trained_on)


def _percent(change: float) -> str:
    return f"{change:+z.1f} %".replace("-", "−")


def _signed(info: MetricInfo) -> Callable[[float], str]:
    """Formats changes of a metric."""
    return lambda change: f"{info.scale * change:+z.{info.decimals}f}".replace("-", "−")


def _trained_note(curves: Sequence[Curve], metrics: Sequence[str], ranked: bool = False) -> list[str]:
    """The meaning of the mark, if there is one; `ranked`: in a table with the best value of each column in bold."""
    if any(metric in curve.trained_on for curve in curves for metric in metrics):
        return [f"{TRAINED_NOTE}{'; bold is the best of the others' if ranked else ''}."]
    return []


def _noise_notes(curves: Sequence[Curve], infos: Sequence[MetricInfo]) -> list[str]:
    """Notes on points that are left out because they are too good to be distinguished."""
    notes = []
    for info in infos:
        if info.noise is None:
            continue
        left_out = [f"{curve.name} {count}" for curve in curves if (count := _count_in_noise(curve, info.name))]
        if left_out:
            side = "above" if info.higher_is_better else "below"
            limit = f"{info.show(info.noise)} {info.unit}".strip()
            notes.append(f"Points {side} a {info.label} of {limit} are noise and left out: {', '.join(left_out)}.")
    return notes


def _count_in_noise(curve: Curve, metric: str) -> int:
    return int(in_noise(curve, metric).sum()) if metric in curve.values else 0


def _refusal_notes(refusals: Sequence[tuple[str, str, str]]) -> list[str]:
    """One note for all cells that are empty for the same reason."""
    by_reason: dict[str, dict[str, list[str]]] = {}
    for codec, metric, reason in refusals:
        by_reason.setdefault(reason, {}).setdefault(metric, []).append(codec)
    notes = []
    for reason, cells in by_reason.items():
        where = "; ".join(f"{metric}: {', '.join(codecs)}" for metric, codecs in cells.items())
        notes.append(f"{NOTHING} {reason} – {where}.")
    return notes
