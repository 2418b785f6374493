"""A table of cells, and its renderings: Markdown, LaTeX, CSV and the terminal's."""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table as RichTable

TRAINED_ON = "†"
TRAINED_NOTE = f"{TRAINED_ON} The codec was trained on this metric"


@dataclass(frozen=True)
class Column:
    """higher_is_better: which of its values is best; None where none is."""

    title: str
    higher_is_better: bool | None = None


@dataclass(frozen=True)
class Cell:
    """value: what rows are sorted by, None for what sorts by its text. interval: in brackets behind it, where known.

    trained_on: the codec was trained on the metric, so that the value carries a mark and is never the best. link: where
    a click on it leads on a page.
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
    """Cells as they are shown: columns, rows whose first cell names the codec, and notes below.

    name: of its files. brackets: a note on the intervals, where there are some. details: longer notes, which a page
    folds and LaTeX keeps as comments.
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
        """What the best cells of each column show; None where there is nothing to choose from."""
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

    def rich(self) -> "RichTable":
        """For a terminal: without intervals, for which there is no room."""
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
        for place, column in enumerate(self.columns):
            drawn.add_column(column.title, justify="right" if place else "left", overflow="fold")
        for row in self.rows:
            bold = ["bold" if self.is_best(place, cell) else "" for place, cell in enumerate(row)]
            drawn.add_row(*(Text(cell.marked, style) for cell, style in zip(row, bold, strict=True)))
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
    """Text as LaTeX prints it."""
    return "".join(_LATEX.get(sign, sign) for sign in text)


def csv_text(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
