"""The end of an evaluation on the terminal: its most telling tables."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hsc.evaluation.compare import equal_rates, find_reference
from hsc.evaluation.results import Curve
from hsc.evaluation.tables import Table, equal_rate_table, quality_table
from hsc.metrics.info import sort_key

if TYPE_CHECKING:
    from rich.table import Table as RichTable

WIDTH_OF_FILES = 160


def show_results(curves: Sequence[Curve]) -> None:
    """Print what a codec's whole files reach at each quality and, beside other codecs, what all reach at one rate."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:  # nothing has to fit
        console.width = WIDTH_OF_FILES
    for table in telling_tables(curves):
        console.print(table.title, style="bold", markup=False)
        console.print(_drawn(table))
        for note in table.notes:
            console.print(note, style="dim", markup=False)
        console.print()


def telling_tables(curves: Sequence[Curve]) -> list[Table]:
    metrics = sorted({metric for curve in curves for metric in curve.metrics}, key=sort_key)
    codec = curves[0].codec
    own = [curve for curve in curves if curve.codec == codec]
    tables = [quality_table(own[-1], metrics)]
    if len(own) < len(curves):
        rates = equal_rates(curves, find_reference(curves, None))
        at_rates = [equal_rate_table(curves, metrics, rate) for rate in rates[len(rates) // 2 :]]
        tables += sorted(at_rates, key=lambda table: -len(table.rows))[:1]
    return tables


def _drawn(table: Table) -> "RichTable":
    """Without intervals, which terminals have no room for."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(table.columns):
        drawn.add_column(column.title, justify="right" if place else "left", overflow="fold")
    for row in table.rows:
        cells = enumerate(row)
        drawn.add_row(*(Text(cell.marked, style="bold" if table.is_best(place, cell) else "") for place, cell in cells))
    return drawn
