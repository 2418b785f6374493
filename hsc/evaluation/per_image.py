"""The table of single images, as CSV and as Parquet, and read again for intervals of what two curves differ in."""

import csv
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hsc.errors import HscError
from hsc.evaluation.bootstrap import resampled_means
from hsc.evaluation.journal import WHOLE, Row
from hsc.files import write_atomically
from hsc.metrics.info import sort_key

_TEXTS = ("image", "codec", "layer")
_INTEGERS = ("quality", "target_bytes", "bytes", "slice_bytes", "width", "height")

Table = dict[str, list[Any]]


@dataclass
class ImageValues:
    """What a curve's points are means of. `values` [points, images] by the names the curve has for them, NaN where not
    known; `names` of the images, sorted."""

    points: list[int]
    names: list[str]
    values: dict[str, np.ndarray]

    @cached_property
    def resampled(self) -> dict[str, np.ndarray]:
        """Means [resamples, points] of the values over images drawn with replacement, the same for equal names."""
        means = resampled_means(np.concatenate(list(self.values.values())))
        return dict(zip(self.values, np.split(means, len(self.values), axis=1), strict=True))


def measured(row: Row, pixels: int) -> dict[str, float | None]:
    """All numbers of an image, by their names in result files."""
    return {
        "bpp": 8 * row.bytes / pixels,
        "bytes": row.bytes,
        "slice_bytes": row.slice_bytes,
        "bpp_estimated": None if row.bits_estimated is None else row.bits_estimated / pixels,
        "encode_seconds": row.encode_seconds,
        "decode_seconds": row.decode_seconds,
        **{name: row.metrics[name] for name in sorted(row.metrics, key=sort_key)},
    }


def per_image_table(rows: Sequence[Row], size: tuple[int, int]) -> Table:
    """A column a name, an entry for every image, codec, layer and point; `size` is (width, height) of all images."""
    width, height = size
    plain = ("image", "codec", "layer", "quality", "target_bytes", "bytes", "slice_bytes")
    table: Table = {name: [getattr(row, name) for row in rows] for name in plain}
    table |= {"width": [width] * len(rows), "height": [height] * len(rows)}
    numbers = [measured(row, width * height) for row in rows]
    return table | {name: [row[name] for row in numbers] for name in numbers[0] if name not in table}


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


def read_images(path: Path, metrics: Collection[str]) -> dict[tuple[str, str], ImageValues]:
    """What `write_csv` wrote of rates and these metrics, by codec and layer (empty for codecs without); nothing where
    there is no such file.

    Raises HscError when it is damaged.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        groups: dict[tuple[str, str], list[dict[str, str]]] = {}
        for row in rows:
            layer = "" if row["layer"] == WHOLE else row["layer"]
            groups.setdefault((row["codec"], layer), []).append(row)
        return {curve: _image_values(own, metrics) for curve, own in groups.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise HscError(f"{path} is damaged: run hsc evaluate again, or delete it to go without intervals") from error


def _image_values(rows: Sequence[dict[str, str]], metrics: Collection[str]) -> ImageValues:
    """Of one curve. Raises KeyError when an image is missing at some point."""
    by_point: dict[int, dict[str, dict[str, str]]] = {}
    for row in rows:
        by_point.setdefault(int(row["target_bytes"] or row["quality"]), {})[row["image"]] = row
    names = sorted(next(iter(by_point.values())))
    columns = [name for name in rows[0] if name in {"bpp", "slice_bytes", *metrics}]
    values = {
        column: np.array([[float(of[name][column] or np.nan) for name in names] for of in by_point.values()])
        for column in columns
    }
    return ImageValues(list(by_point), names, values)
