"""What a sweep found: a table on the terminal, CSV and Parquet, figures and one self-contained page, the best run."""

import html
import os
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from hsc.evaluation.curves import INK, png, svg
from hsc.evaluation.quantities import quantity
from hsc.files import write_atomically
from hsc.sweeps.figures import distortions, draw_rate_distortion, parallel_coordinates
from hsc.sweeps.importance import importances
from hsc.sweeps.results import Result, best, read_results, rows, write_tables
from hsc.sweeps.run import opened
from hsc.sweeps.sweep_file import Sweep
from hsc.sweeps.trials import SweepFolder

if TYPE_CHECKING:
    from rich.table import Table

LAST_LINES = 3
WIDTH_OF_FILES = 200


def report(folder: SweepFolder) -> bool:
    """Write the result of a sweep into its folder and show it on the terminal.

    Leaves `trials.csv`, `trials.parquet`, `rate_distortion_METRIC.svg` and `.png`, `index.html` and, where a trial has
    finished, `best`: a link to its run folder. Returns whether one has.
    """
    from rich.console import Console

    sweep, _ = opened(folder)
    results = read_results(sweep, folder)
    if not results:
        return False
    chosen = best(results)
    tables = write_tables(sweep, folder, results)
    drawings = _write_figures(folder, results, chosen)
    write_atomically(folder.path / "index.html", build_page(sweep, folder, results, drawings).encode())
    console = Console(highlight=False)
    if not console.is_terminal:  # nothing has to fit
        console.width = WIDTH_OF_FILES
    console.print(_table(sweep, results))
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
        again = f"mend the cause and remove {folder.path / 'records'} to try again"
        console.print(f"no trial finished of {len(results)} that were started; {again}", markup=False, soft_wrap=True)
    return chosen is not None


def failures(folder: SweepFolder, results: Sequence[Result]) -> list[str]:
    """Failed trials: how each attempt ended, and the last lines it said."""
    lines = []
    for one in results:
        if one.trial.state == "failed":
            ends = "; ".join(attempt.ended or "" for attempt in one.trial.attempts)
            lines.append(f"{one.trial.name} failed: {ends} ({folder.log(one.trial)})")
            lines += [f"    {line}" for line in folder.last_lines(one.trial, LAST_LINES)]
    return lines


def build_page(sweep: Sweep, folder: SweepFolder, results: Sequence[Result], drawings: dict[str, str]) -> str:
    """One HTML file that requests nothing from anywhere. drawings: the SVG of each quality."""
    measured = any(one.loss is not None for one in results)
    goal = "highest" if sweep.metric.maximize else "lowest"
    parts = {
        "TITLE": html.escape(sweep.name),
        "LEAD": html.escape(
            f"{len(results)} trials by {sweep.method}. The {goal} {sweep.metric.name} that a trial reached in its last "
            "stage counts; its other values are of the same validation."
        ),
        "METRICS": "".join(f'<option value="{n}">{_label(name)}</option>' for n, name in enumerate(drawings)),
        "FIGURES": "".join(map(_figure, range(len(drawings)), drawings.values())) or "<p>No trial has a rate yet.</p>",
        "PARALLEL": parallel_coordinates(sweep, results) if measured else "",
        "IMPORTANCE": _importance_table(sweep, results),
        "TRIALS": _trials_table(sweep, results),
        "FAILURES": html.escape("\n".join(failures(folder, results))),
        "STYLE": _template("sweep.css"),
        "SCRIPT": _template("sweep.js"),
    }
    return re.sub(r"<!--([A-Z]+)-->", lambda match: parts[match[1]], _template("sweep.html"))


def _write_figures(folder: SweepFolder, results: Sequence[Result], chosen: Result | None) -> dict[str, str]:
    number = None if chosen is None else chosen.trial.number
    drawings = {}
    for metric in distortions(results):
        figure = draw_rate_distortion(metric, results, number)
        drawings[metric] = svg(figure)
        write_atomically(folder.path / f"rate_distortion_{metric}.svg", drawings[metric].encode())
        write_atomically(folder.path / f"rate_distortion_{metric}.png", png(figure))
    return drawings


def _link_best(folder: SweepFolder, chosen: Result) -> None:
    """`best` → `trials/NUMBER`, changed in one step."""
    fresh = folder.path / ".best"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(os.path.join("trials", chosen.trial.name))
    os.replace(fresh, folder.path / "best")


def _table(sweep: Sweep, results: Sequence[Result]) -> "Table":
    from rich import box
    from rich.table import Table

    header, cells = _cells(sweep, results)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in header:
        table.add_column(re.sub(r"^(stages\.|val/)", "", name), overflow="fold")
    for row in cells:
        table.add_row(*row)
    return table


def _cells(sweep: Sweep, results: Sequence[Result]) -> tuple[list[str], list[list[str]]]:
    """What people look at first: the searched values, the metric, the rate of the same prefix, what was reused."""
    rate = f"{sweep.metric.name.rpartition('/')[0]}/bpp"
    names = ["trial", "state", *(parameter.name for parameter in sweep.searched), sweep.metric.name]
    names += [rate] if rate != sweep.metric.name and any(rate in one.outcome.best for one in results) else []
    names += ["reused", "attempts", "seconds"]
    return names, [[_text(row.get(name)) for name in names] for row in rows(sweep, results)]


def _trials_table(sweep: Sweep, results: Sequence[Result]) -> str:
    header, cells = _cells(sweep, results)
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in header)
    body = "".join(
        f'<tr data-trial="{one.trial.number}">' + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for one, row in zip(results, cells, strict=True)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _importance_table(sweep: Sweep, results: Sequence[Result]) -> str:
    lines = []
    for one in importances(sweep, results):
        share = "too few trials" if one.explained is None else f"{100 * one.explained:.0f} %"
        bar = f'<span class="bar" style="width:{10 * (one.explained or 0):.2f}rem"></span>'
        order = "–" if one.correlation is None else f"{one.correlation:+.2f}".replace("-", "−")
        lines.append(f"<tr><td>{html.escape(one.parameter)}</td><td>{bar} {share}</td><td>{order}</td></tr>")
    head = "<th>hyperparameter</th><th>variance explained</th><th>rank correlation with the loss</th>"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _figure(number: int, drawing: str) -> str:
    """The SVG as part of the page: in the page's text colour, with ids of its own, points marked by trial."""
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing[drawing.index("<svg") :], flags=re.DOTALL)
    drawing = re.sub(r'\bid="', f'id="m{number}-', drawing)
    drawing = re.sub(r'href="#', f'href="#m{number}-', drawing)
    drawing = re.sub(r"url\(#", f"url(#m{number}-", drawing).replace(INK, "currentColor")
    drawing = re.sub(r'id="(m\d+-point-(\d+)-\d+)"', r'id="\1" class="point" data-trial="\2"', drawing)
    drawing = drawing.replace("fill: #ffffff", "fill: none")
    return f'<figure data-metric="{number}">{drawing}</figure>'


def _label(metric: str) -> str:
    known = quantity(metric)
    assert known is not None, metric
    return html.escape(f"{known.axis} {known.arrow}")


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _template(name: str) -> str:
    return files("hsc.sweeps").joinpath("page", name).read_text(encoding="utf-8")
