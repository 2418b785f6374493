"""Tables of a comparison, in Markdown and LaTeX."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hsc.evaluation.bdrate import Delta, bd_metric, bd_rate, in_noise, on_front
from hsc.evaluation.counting import COUNTS
from hsc.evaluation.curves import points
from hsc.evaluation.quantities import known
from hsc.evaluation.results import CONFIDENCE, Curve

TRAINED_ON = "†"
NOTHING = "–"
ON_FRONT = "★"


@dataclass(frozen=True)
class Table:
    """Cells as they are shown: a header, rows whose first cell names the codec, and notes below.

    details: longer notes, which a page folds and LaTeX keeps as comments.
    """

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        lines = [f"### {self.title}", "", _markdown_row(self.header), _markdown_row(["---"] * len(self.header))]
        lines += [_markdown_row(row) for row in self.rows]
        return "\n".join([*lines, "", *(f"{note}  " for note in [*self.notes, *self.details]), ""])

    def latex(self) -> str:
        """A `booktabs` table."""
        rows = [" & ".join(map(_latex_text, row)) + r" \\" for row in (self.header, *self.rows)]
        body = [r"\toprule", rows[0], r"\midrule", *rows[1:], r"\bottomrule"]
        columns = "l" + "r" * (len(self.header) - 1)
        caption = " ".join([f"{self.title}.", *self.notes])
        return "\n".join(
            [
                r"\begin{table}",
                r"\centering",
                rf"\caption{{{_latex_text(caption)}}}",
                rf"\begin{{tabular}}{{{columns}}}",
                *body,
                r"\end{tabular}",
                r"\end{table}",
                *(f"% {note}" for note in self.details),
                "",
            ]
        )


def delta_table(curves: Sequence[Curve], reference: Curve, metrics: Sequence[str], of_rate: bool) -> Table:
    """BD-rate (percent) or BD-metric (the metric's own units) of every curve against `reference`.

    A cell is empty where one of the two lacks the metric, and a dash where the notes say why there is no value.
    Behind a value stands its confidence interval, where single images are known.
    """
    rows, refusals, overlaps, intervals = [], [], [], False
    for curve in curves:
        if curve is reference:
            continue
        cells, shared = [curve.name], []
        for metric in metrics:
            if metric not in reference.values or metric not in curve.values:
                cells.append("")
                continue
            delta = (bd_rate if of_rate else bd_metric)(reference, curve, metric)
            if delta.value is None:
                refusals.append((curve.name, _label(metric), delta.refusal))
            if delta.overlap is not None:
                shared.append(f"{_label(metric)} {delta.overlap:.0%}")
            mark = TRAINED_ON if metric in curve.trained_on else ""
            cells.append(_delta_cell(delta, metric, of_rate, mark))
            intervals |= delta.low is not None
        rows.append(cells)
        if shared:
            overlaps.append(f"{curve.name}: {', '.join(shared)}.")
    against = f"{reference.name}, {COUNTS[reference.count]}"
    if of_rate:
        title = f"BD-rate against {against}: percent of bits more (+) or fewer (−) at equal quality"
        header = [_label(metric) for metric in metrics]
    else:
        title = f"BD-metric against {against}: mean difference at equal rate"
        header = [f"{known(metric).axis} {known(metric).arrow}" for metric in metrics]
        header = [
            "MS-SSIM (dB) ↑" if metric == "ms_ssim" else text for metric, text in zip(metrics, header, strict=True)
        ]
    if overlaps:
        what = "quality" if of_rate else "log rate"
        overlaps[0] = f"Range of {what} shared with {reference.name} ÷ the shorter range. {overlaps[0]}"
    notes = _trained_note(curves, metrics)
    if intervals:
        notes.append(
            f"In brackets {CONFIDENCE:.0%} intervals: both curves from the same images, drawn again and again."
        )
    details = _refusal_notes(refusals) + _noise_notes(curves, metrics) + overlaps
    return Table(title, ["codec", *header], rows, notes, details)


def equal_rate_table(curves: Sequence[Curve], metrics: Sequence[str], bpp: float) -> Table:
    """Every metric of every curve at one rate, linear in log rate between measured points, never beyond them.

    Curves that do not reach the rate are named below.
    """
    rows, elsewhere = [], []
    for curve in curves:
        values = [value_at(curve, metric, bpp) for metric in metrics]
        marks = [TRAINED_ON if metric in curve.trained_on else "" for metric in metrics]
        shown = [
            NOTHING if value is None else known(metric).show(value) + mark
            for metric, value, mark in zip(metrics, values, marks, strict=True)
        ]
        if any(value is not None for value in values):
            rows.append([curve.name, *shown])
        else:
            elsewhere.append(curve.name)
    pixels = {curve.pixels for curve in curves}
    size = next(iter(pixels)) if len(pixels) == 1 else None
    title = f"At {bpp:.4f} bpp" + (f" ({bpp * size / 8:.0f} bytes a face)" if size else "")
    if curves[0].count != "files":
        title += f", {COUNTS[curves[0].count]}"
    header = ["codec", *(f"{known(metric).axis} {known(metric).arrow}" for metric in metrics)]
    notes = [f"Not measured around this rate: {', '.join(elsewhere)}."] if elsewhere else []
    return Table(title, header, rows, _trained_note(curves, metrics) + notes)


def front_table(curve: Curve, metrics: Sequence[str]) -> Table:
    """The trials of a sweep that are on the Pareto front of some metric over the rate, by rising rate."""
    fronts = {metric: on_front(metric, curve.bpp, curve.values[metric]) for metric in metrics if metric in curve.values}
    rows = []
    for place in np.argsort(curve.bpp, kind="stable"):
        if any(front[place] for front in fronts.values()):
            cells = [
                known(metric).show(curve.values[metric][place]) + (ON_FRONT if front[place] else "")
                for metric, front in fronts.items()
            ]
            rows.append([curve.labels[place], f"{curve.bpp[place]:.4f}", *cells])
    header = ["trial", "bpp", *(f"{known(metric).axis} {known(metric).arrow}" for metric in fronts)]
    note = f"{ON_FRONT} No trial of the {len(curve.labels)} is as good for fewer bits, or better for as many."
    return Table(f"Pareto front of {curve.name}", header, rows, [note])


def time_table(curves: Sequence[Curve]) -> Table | None:
    """Milliseconds an image of every curve that was timed, means over its points; None where none was."""
    columns = ("encode_seconds", "decode_seconds")
    rows = [
        [curve.name, *(f"{1000 * np.nanmean(curve.values[name]):.1f}" for name in columns)]
        for curve in curves
        if all(np.isfinite(curve.values.get(name, np.nan)).any() for name in columns)
    ]
    note = "Wall times as result files have them: machines, batches and whether a program had to start may differ."
    return Table("Milliseconds an image", ["codec", "encode", "decode"], rows, [note]) if rows else None


def value_at(curve: Curve, metric: str, bpp: float) -> float | None:
    """The metric at a rate, None outside the curve's measured range."""
    shown = points(curve, metric)
    tolerance = 1e-9
    if not len(shown.bpp) or not shown.bpp[0] * (1 - tolerance) <= bpp <= shown.bpp[-1] * (1 + tolerance):
        return None
    return float(np.interp(np.log(bpp), np.log(shown.bpp), shown.value))


def _delta_cell(delta: Delta, metric: str, of_rate: bool, mark: str) -> str:
    if delta.value is None:
        return NOTHING
    text = _signed(delta.value, metric, of_rate) + mark
    if delta.low is None or delta.high is None:
        return text
    low, high = (_signed(bound, metric, of_rate).removesuffix(" %") for bound in (delta.low, delta.high))
    return f"{text} [{low}, {high}]"


def _signed(value: float, metric: str, of_rate: bool) -> str:
    if of_rate:
        text = f"{value:+.1f} %"
    elif metric == "ms_ssim":
        text = f"{value:+.2f}"
    else:
        text = f"{known(metric).scale * value:+.{known(metric).decimals}f}"
    return text.replace("-", "−")


def _trained_note(curves: Sequence[Curve], metrics: Sequence[str]) -> list[str]:
    if any(metric in curve.trained_on for curve in curves for metric in metrics):
        return [f"{TRAINED_ON} The codec was trained on this metric."]
    return []


def _noise_notes(curves: Sequence[Curve], metrics: Sequence[str]) -> list[str]:
    """Which points are left out because they are too good to be told apart."""
    notes = []
    for metric in metrics:
        if (noise := known(metric).noise) is None:
            continue
        left_out = [f"{curve.name} {count}" for curve in curves if (count := _count_in_noise(curve, metric))]
        if left_out:
            side = "above" if known(metric).higher_is_better else "below"
            limit = f"{known(metric).show(noise)} {known(metric).unit}".strip()
            notes.append(f"Points {side} a {_label(metric)} of {limit} are noise and left out: {', '.join(left_out)}.")
    return notes


def _count_in_noise(curve: Curve, metric: str) -> int:
    return int(in_noise(curve, metric).sum()) if metric in curve.values else 0


def _refusal_notes(refusals: Sequence[tuple[str, str, str]]) -> list[str]:
    """One note for all cells left out for one reason."""
    by_reason: dict[str, dict[str, list[str]]] = {}
    for codec, metric, reason in refusals:
        by_reason.setdefault(reason, {}).setdefault(metric, []).append(codec)
    notes = []
    for reason, cells in by_reason.items():
        where = "; ".join(f"{metric}: {', '.join(codecs)}" for metric, codecs in cells.items())
        notes.append(f"{NOTHING} {reason} – {where}.")
    return notes


def _label(metric: str) -> str:
    return known(metric).label


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


_LATEX = {
    "\\": r"\textbackslash{}",
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "−": "$-$",
    "×": r"$\times$",
    "†": r"\textdagger{}",
    "★": r"$\star$",
    "–": "--",
}


def _latex_text(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in text)
