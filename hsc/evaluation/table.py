"""A table of cells, rendered as Markdown, LaTeX, CSV or for a terminal; columns of values in files."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsc.files import write_atomically

if TYPE_CHECKING:
    from rich.table import Table as RichTable

TRAINED_ON = "†"
_BETWEEN, _EDGES = 3, 2  # terminal columns between two table columns, and at both edges
_TITLE_LINES = 4
_PIECES = re.compile(r"[^ ./]+[./]*(?: [↑↓])? *")  # between which a title may be wrapped
TRAINED_NOTE = f"{TRAINED_ON} The codec was trained on this metric"


@dataclass(frozen=True)
class Column:
    """higher_is_better: whether its highest or lowest value is best; None if neither."""

    title: str
    higher_is_better: bool | None = None


@dataclass(frozen=True)
class Cell:
    """value: sort key of the row, None to sort by the text. interval: shown in brackets after the text, if known.

    trained_on: the codec was trained on the metric, so the value is marked and never the best. link: target of the
    cell's link on a page.
    """

    text: str
    value: float | None = None
    interval: str = ""
    trained_on: bool = False
    link: str = ""

    @property
    def marked(self) -> str:
        return self.text + (TRAINED_ON if self.trained_on else "")

    def __str__(self) -> str:
        return f"{self.marked} {self.interval}".rstrip()


@dataclass(frozen=True)
class Table:
    """Displayed cells: columns, rows whose first cell names the codec, and notes below.

    name: of its files. brackets: a note on the intervals, if there are any. details: longer notes, collapsed on a page
    and written as comments in LaTeX.
    """

    name: str
    title: str
    columns: list[Column]
    rows: list[list[Cell]]
    notes: list[str] = field(default_factory=list)
    brackets: str = ""
    details: list[str] = field(default_factory=list)

    @property
    def header(self) -> list[str]:
        return [column.title for column in self.columns]

    @property
    def notes_with_intervals(self) -> list[str]:
        """The notes of a rendering that shows intervals."""
        return [*self.notes, *([self.brackets] if self.brackets else [])]

    @cached_property
    def best(self) -> list[str | None]:
        """The text of the best cells of each column; None if there is nothing to choose from."""
        return [_best(column, [row[place] for row in self.rows]) for place, column in enumerate(self.columns)]

    def is_best(self, place: int, cell: Cell) -> bool:
        return self.best[place] is not None and cell.text == self.best[place] and not cell.trained_on

    def markdown(self) -> str:
        lines = [f"### {self.title}", "", _markdown_row(self.header), _markdown_row(["---"] * len(self.columns))]
        lines += [_markdown_row(self._bold(row, "**", "**")) for row in self.rows]
        return "\n".join([*lines, "", *(f"{note}  " for note in [*self.notes_with_intervals, *self.details]), ""])

    def latex(self) -> str:
        """A `booktabs` table."""
        header = " & ".join(map(latex_text, self.header)) + r" \\"
        rows = [" & ".join(self._bold(row, r"\textbf{", "}", latex_text)) + r" \\" for row in self.rows]
        alignment = "l" + "r" * (len(self.columns) - 1)
        caption = " ".join([f"{self.title}.", *self.notes_with_intervals])
        return "\n".join(
            [
                r"\begin{table}",
                r"\centering",
                rf"\caption{{{latex_text(caption)}}}",
                rf"\begin{{tabular}}{{{alignment}}}",
                r"\toprule",
                header,
                r"\midrule",
                *rows,
                r"\bottomrule",
                r"\end{tabular}",
                r"\end{table}",
                *(f"% {note}" for note in self.details),
                "",
            ]
        )

    def csv(self) -> str:
        """The cells as they are shown, with their intervals."""
        return csv_text([self.header, *([str(cell) for cell in row] for row in self.rows)])

    def filled(self) -> "Table":
        """The table without its empty columns."""
        kept = [place for place in range(len(self.columns)) if any(row[place].text for row in self.rows)]
        rows = [[row[place] for place in kept] for row in self.rows]
        return replace(self, columns=[self.columns[place] for place in kept], rows=rows)

    def rich(self, room: int) -> list["RichTable"]:
        """For a terminal of `room` columns: without intervals, for which there is no room, and split into several
        tables with the same rows if one is too wide."""
        widths = [self._width(place) for place in range(len(self.columns))]
        names = min(widths[0], room // 2)
        parts: list[list[int]] = [[]]
        room -= _EDGES + names
        left = room
        for place in range(1, len(self.columns)):
            left -= _BETWEEN + widths[place]
            if left < 0 and parts[-1]:
                parts.append([])
                left = room - _BETWEEN - widths[place]
            parts[-1].append(place)
        return [self._rich([names, *(widths[place] for place in part)], [0, *part]) for part in parts]

    def _width(self, place: int) -> int:
        """Width of a column on a terminal: cells are not wrapped, titles take few lines."""
        from rich.cells import cell_len

        title = self.columns[place].title
        pieces = [cell_len(piece.rstrip()) for piece in _PIECES.findall(title)]
        cells = [cell_len(row[place].marked) for row in self.rows]
        return max([-(-cell_len(title) // _TITLE_LINES), *pieces, *cells])

    def _rich(self, widths: Sequence[int], places: Sequence[int]) -> "RichTable":
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
        for width, place in zip(widths, places, strict=True):
            title = _in_lines(self.columns[place].title, width)
            drawn.add_column(title, justify="right" if place else "left", width=width, overflow="fold")
        for row in self.rows:
            drawn.add_row(
                *(Text(row[place].marked, "bold" if self.is_best(place, row[place]) else "") for place in places)
            )
        return drawn

    def _bold(self, row: Sequence[Cell], start: str, end: str, escaped: Callable[[str], str] = str) -> list[str]:
        """The cells of a row, the best values between `start` and `end`."""
        shown = []
        for place, cell in enumerate(row):
            marked = escaped(cell.marked)
            marked = f"{start}{marked}{end}" if self.is_best(place, cell) else marked
            shown.append(f"{marked} {escaped(cell.interval)}".rstrip())
        return shown


def _best(column: Column, cells: Sequence[Cell]) -> str | None:
    eligible = [cell for cell in cells if cell.value is not None and not cell.trained_on]
    if column.higher_is_better is None or len(eligible) < 2:
        return None
    choose = max if column.higher_is_better else min
    return choose(eligible, key=lambda cell: cell.value).text  # type: ignore[arg-type,return-value]


def _in_lines(title: str, width: int) -> str:
    """A title wrapped between its words, and between the parts of a name such as joint.learning_rate."""
    lines = [""]
    for piece in _PIECES.findall(title):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


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


def latex_text(text: str) -> str:
    """Text escaped for LaTeX."""
    return "".join(_LATEX.get(sign, sign) for sign in text)


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV: floating-point numbers have nine digits; None is empty."""
    text = io.StringIO()
    shown = ([f"{value:.9g}" if isinstance(value, float) else value for value in row] for row in rows)
    csv.writer(text, lineterminator="\n").writerows(shown)
    return text.getvalue()


def write_columns(path: Path, columns: Mapping[str, Sequence[Any]]) -> list[Path]:
    """Write columns of values as the CSV file `path` and, if pyarrow is installed, as Parquet beside it, with types and
    full precision; returns the files. A column with values of several types becomes text in Parquet."""
    write_atomically(path, csv_text([columns, *zip(*columns.values(), strict=True)]).encode())
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        return [path]
    table = pyarrow.table({name: _of_one_type(values) for name, values in columns.items()})
    write_atomically(path.with_suffix(".parquet"), lambda file: parquet.write_table(table, file))
    return [path, path.with_suffix(".parquet")]


def _of_one_type(values: Sequence[Any]) -> Sequence[Any]:
    known = [value for value in values if value is not None]
    numbers = [isinstance(value, int | float) and not isinstance(value, bool) for value in known]
    if all(numbers) or len(set(map(type, known))) == 1:
        return values
    return [None if value is None else str(value) for value in values]
