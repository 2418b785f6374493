"""Results of a sweep: a table on the terminal, CSV and Parquet, figures, one self-contained page, the best run."""

import html
import math
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from hsc.evaluation.chart import Chart, rate_chart
from hsc.evaluation.figures import write_figure
from hsc.evaluation.page_data import chart_data, file_name, table_data
from hsc.evaluation.report import (
    PICTURES,
    SCRIPTS,
    chart_part,
    figure_part,
    fill_page,
    section,
    table_part,
    template,
)
from hsc.evaluation.runs import stages_of
from hsc.evaluation.table import TRAINED_NOTE, Cell, Column, Table
from hsc.files import write_atomically
from hsc.progress import number_of
from hsc.sweeps.figures import distortions, learning_chart, parallel_coordinates, rate_curves, trained_on
from hsc.sweeps.importance import importances
from hsc.sweeps.results import Result, best, read_results, rows, write_tables
from hsc.sweeps.run import opened
from hsc.sweeps.sweep_file import Sweep
from hsc.sweeps.trials import SweepFolder

PARALLEL_HINT = (
    '<p class="hint">One line per trial, from blue (best) to orange (worst). Point at a line or a row to highlight '
    "the trial everywhere.</p>"
)
IMPORTANCE_HINT = (
    '<p class="hint">The share of the metric\'s variance that a hyperparameter explains by itself, beyond chance (ε²), '
    "and its rank correlation with the loss, negative if larger values give better trials.</p>"
)
PICTURES_HINT = (
    '<p class="hint">Of the last validation: the original and each layer, one row per face. They lie beside this page, '
    "in the trials' folders.</p>"
)
LAST_LINES = 3
WIDTH_OF_FILES = 200


def report(folder: SweepFolder) -> bool:
    """Write the result of a sweep into its folder and show it on the terminal.

    Writes `trials.csv`, `trials.parquet`, `rate_distortion_METRIC.svg` and `.png`, `index.html` and, if a trial has
    finished, `best`: a link to the best one's run folder. Returns whether one has.
    """
    from rich.console import Console

    sweep, _ = opened(folder)
    results = read_results(sweep, folder)
    if not results:
        return False
    chosen = best(results)
    tables = write_tables(sweep, folder, results)
    trained = trained_on(folder, results)
    page = build_page(sweep, folder, results, _write_figures(folder, results, trained), trained)
    write_atomically(folder.path / "index.html", page.encode())
    console = Console(highlight=False)
    if not console.is_terminal:  # no width to fit into
        console.width = WIDTH_OF_FILES
    console.print(*_short(_trials(sweep, results, trained)).filled().rich(console.width))
    for line in failures(folder, results):
        console.print(line, markup=False, soft_wrap=True)
    console.print(f"page and tables: {folder.path}/index.html, {', '.join(tables)}", markup=False, soft_wrap=True)
    if chosen is not None:
        _link_best(folder, chosen)
        data = "--data FACES --out DIR"
        console.print(
            f"best: {chosen.trial.name}; next: hsc evaluate {folder.path}/best {data}", markup=False, soft_wrap=True
        )
    else:
        again = f"fix the cause and remove {folder.path / 'records'} to try again"
        console.print(f"no trial finished of {len(results)} that were started; {again}", markup=False, soft_wrap=True)
    return chosen is not None


def failures(folder: SweepFolder, results: Sequence[Result]) -> list[str]:
    """Failed trials: how each attempt ended, and the last lines of output."""
    lines = []
    for one in results:
        if one.trial.state == "failed":
            ends = "; ".join(attempt.ended or "" for attempt in one.trial.attempts)
            lines.append(f"{one.trial.name} failed: {ends} ({folder.log(one.trial)})")
            lines += [f"    {line}" for line in folder.last_lines(one.trial, LAST_LINES)]
    return lines


def build_page(
    sweep: Sweep, folder: SweepFolder, results: Sequence[Result], rates: Chart | None, trained: Collection[str] = ()
) -> str:
    """One HTML file in the style of the comparison's page; it links to the trials' folders and pictures beside it.

    rates: rate and distortion of all trials, if any has a rate. trained: metrics on whose judges any trial was trained.
    """
    goal = "highest" if sweep.metric.maximize else "lowest"
    learning = learning_chart(sweep, results, trained)
    tables = {"trials": trials_table(sweep, folder, results, trained), "importance": _importance_table(sweep, results)}
    failed = failures(folder, results)
    sections = [
        section("trials", "Trials", table_part("trials", tables["trials"]) + _failed(failed)),
        section("learning", "Learning curves", chart_part("learning", learning, "Trials", "axis"))
        if learning.names
        else "",
        section("rates", "Rate and distortion", chart_part("rates", rates, "Layers", "rate")) if rates else "",
        section("hyperparameters", "Hyperparameters", figure_part("parallel", PICTURES) + PARALLEL_HINT)
        if learning.names
        else "",
        section("importance", "Importance", f"{table_part('importance', tables['importance'])}{IMPORTANCE_HINT}"),
        _pictures(sweep, folder, results),
    ]
    parts = {
        "TITLE": html.escape(f"Sweep {sweep.name}"),
        "LEAD": html.escape(
            f"{number_of(len(results), 'trial')} by {sweep.method}, the best first. The {goal} {sweep.metric.name} "
            "that a trial reached in its last stage counts; its other values are of the same validation."
        ),
        "WARNINGS": "",
        "CONTROLS": "",
        "SECTIONS": "".join(sections),
    }
    data = {
        "charts": {"learning": chart_data(learning)} | ({"rates": chart_data(rates)} if rates else {}),
        "figures": {"parallel": parallel_coordinates(sweep, results)} if learning.names else {},
        "tables": table_data(tables),
    }
    return fill_page(parts, data, _scripts())


def _write_figures(folder: SweepFolder, results: Sequence[Result], trained: Collection[str]) -> Chart | None:
    """Write one figure per metric beside the page; returns the chart of all metrics, if any trial has a rate."""
    curves, metrics = rate_curves(results, trained), distortions(results)
    if not metrics:
        return None
    chart = rate_chart({"files": curves}, metrics)
    for panel in chart.panels:
        write_figure(chart, panel, "files", folder.path / f"rate_distortion_{file_name(panel.name)}")
    return chart


def _link_best(folder: SweepFolder, chosen: Result) -> None:
    """Link `best` → `trials/NUMBER`, atomically."""
    fresh = folder.path / ".best"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(os.path.join("trials", chosen.trial.name))
    os.replace(fresh, folder.path / "best")


def _short(table: Table) -> Table:
    """The table with titles without the prefixes of parameters' and logged values' names."""
    titles = [re.sub(r"^(stages\.|val/)", "", column.title) for column in table.columns]
    columns = [replace(column, title=title) for column, title in zip(table.columns, titles, strict=True)]
    return replace(table, columns=columns)


def _cells(sweep: Sweep, results: Sequence[Result]) -> tuple[list[str], list[list[object]]]:
    """The most important columns: the searched values, the metric, the rate of the same prefix, the reused stages."""
    rate = f"{sweep.metric.name.rpartition('/')[0]}/bpp"
    names = ["trial", "state", *(parameter.name for parameter in sweep.searched), sweep.metric.name]
    names += [rate] if rate != sweep.metric.name and any(rate in one.outcome.best for one in results) else []
    names += ["reused", "attempts", "seconds"]
    return names, [[row.get(name) for name in names] for row in rows(sweep, results)]


def _trials(sweep: Sweep, results: Sequence[Result], trained: Collection[str]) -> Table:
    """One row per trial, the best first."""
    header, cells = _cells(sweep, results)
    marked = sweep.metric.name if sweep.metric.quality in trained else None
    shown = [
        [replace(_cell(value), trained_on=name == marked) for name, value in zip(header, row, strict=True)]
        for row in cells
    ]
    better = {sweep.metric.name: sweep.metric.maximize}
    columns = [Column(name, better.get(name)) for name in header]
    return Table("trials", f"Trials of {sweep.name}", columns, shown, [f"{TRAINED_NOTE}."] if marked else [])


def trials_table(sweep: Sweep, folder: SweepFolder, results: Sequence[Result], trained: Collection[str] = ()) -> Table:
    """The trials with links to their folders and to the pictures of their last validations, without empty columns."""
    table, shown = _trials(sweep, results, trained), []
    for one, (first, *others) in zip(results, table.rows, strict=True):
        grid = last_pictures(folder.run(one.trial))
        link = Cell("see", link=grid.relative_to(folder.path).as_posix()) if grid else Cell("")
        shown.append([replace(first, link=f"trials/{one.trial.name}/"), *others, link])
    return replace(table, columns=[*table.columns, Column("pictures")], rows=shown).filled()


def last_pictures(run: Path) -> Path | None:
    """The grid of faces from the last validation of a run's last stage that has pictures."""
    for stage in reversed(stages_of(run)):
        if grids := sorted((run / stage / "samples").glob("*.png")):
            return grids[-1]
    return None


def _pictures(sweep: Sweep, folder: SweepFolder, results: Sequence[Result]) -> str:
    figures = []
    for one in results:
        if (grid := last_pictures(folder.run(one.trial))) is not None:
            place = html.escape(grid.relative_to(folder.path).as_posix())
            value = _text(one.outcome.value(sweep.metric))
            words = html.escape(f"{sweep.describe(one.trial.values)}: {value}")
            image = f'<a href="{place}"><img src="{place}" loading="lazy" alt="faces of trial {one.trial.name}"></a>'
            caption = f"<figcaption><strong>{one.trial.name}</strong> {words}</figcaption>"
            figures.append(f'<figure data-trial="{one.trial.name}">{image}{caption}</figure>')
    if not figures:
        return ""
    return section("pictures", "Pictures", f'<div class="grids">{"".join(figures)}</div>{PICTURES_HINT}')


def _failed(lines: Sequence[str]) -> str:
    content = html.escape("\n".join(lines))
    return f'<pre class="failures">{content}</pre>' if lines else ""


def _importance_table(sweep: Sweep, results: Sequence[Result]) -> Table:
    shown = []
    for one in importances(sweep, results):
        share = Cell("too few trials") if one.explained is None else Cell(f"{100 * one.explained:.0f} %", one.explained)
        order = (
            Cell("–")
            if one.correlation is None
            else Cell(f"{one.correlation:+z.2f}".replace("-", "−"), one.correlation)
        )
        shown.append([Cell(one.parameter), share, order])
    titles = ("hyperparameter", "variance explained", "rank correlation with the loss")
    return Table("importance", f"Importance of {sweep.name}'s hyperparameters", [*map(Column, titles)], shown)


def _cell(value: object) -> Cell:
    numeric = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return Cell(_text(value), float(value) if numeric else None)  # type: ignore[arg-type]


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _scripts() -> str:
    own = files("hsc.sweeps").joinpath("page")
    texts = [own.joinpath(name).read_text(encoding="utf-8") for name in ("parallel.js", "sweep.js")]
    return "\n".join([*map(template, SCRIPTS), *texts])
