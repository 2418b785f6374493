"""The table of single images, as CSV and as Parquet."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hsc.evaluation.journal import Row
from hsc.evaluation.quantities import sort_key
from hsc.files import write_atomically

_TEXTS = ("image", "codec", "layer")
_INTEGERS = ("quality", "target_bytes", "bytes", "slice_bytes", "width", "height")

Table = dict[str, list[Any]]


def per_image_table(rows: Sequence[Row], size: tuple[int, int]) -> Table:
    """A column a name, an entry for every image, codec, layer and point; `size` is (width, height) of all images."""
    width, height = size
    pixels = width * height
    plain = ("image", "codec", "layer", "quality", "target_bytes", "bytes", "slice_bytes")
    table: Table = {name: [getattr(row, name) for row in rows] for name in plain}
    table |= {"width": [width] * len(rows), "height": [height] * len(rows)}
    table["bpp"] = [8 * row.bytes / pixels for row in rows]
    table["bpp_estimated"] = [None if row.bits_estimated is None else row.bits_estimated / pixels for row in rows]
    table["encode_seconds"] = [row.encode_seconds for row in rows]
    table["decode_seconds"] = [row.decode_seconds for row in rows]
    for metric in sorted({name for row in rows for name in row.metrics}, key=sort_key):
        table[metric] = [row.metrics.get(metric) for row in rows]
    return table


def write_csv(path: Path, table: Table) -> None:
    """Fractions have nine digits; what is not known is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    for row in zip(*table.values(), strict=True):
        writer.writerow([f"{value:.9g}" if isinstance(value, float) else value for value in row])
    write_atomically(path, text.getvalue().encode())


def write_parquet(path: Path, table: Table) -> None:
    """The same columns with their types, fractions in full. Raises ModuleNotFoundError where pyarrow is missing."""
    import pyarrow
    import pyarrow.parquet

    types = dict.fromkeys(_TEXTS, pyarrow.string()) | dict.fromkeys(_INTEGERS, pyarrow.int64())
    columns = {name: pyarrow.array(values, types.get(name, pyarrow.float64())) for name, values in table.items()}
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), buffer)
    write_atomically(path, buffer.getvalue())
