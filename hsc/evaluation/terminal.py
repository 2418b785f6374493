"""The end of an evaluation on the terminal: its most telling tables."""

from collections.abc import Sequence

from hsc.evaluation.compare import equal_rates, find_reference
from hsc.evaluation.results import Curve
from hsc.evaluation.table import Table
from hsc.evaluation.tables import equal_rate_table, quality_table
from hsc.metrics.info import sort_key

WIDTH_OF_FILES = 160


def show_results(curves: Sequence[Curve]) -> None:
    """Print what a codec's whole files reach at each quality and, beside other codecs, what all reach at one rate."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:  # nothing has to fit
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
