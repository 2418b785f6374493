"""From rows of single images to the two result files."""

import csv
import io
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from hsc.evaluation.journal import Row
from hsc.evaluation.quantities import sort_key
from hsc.evaluation.results import CONFIDENCE, GENERATED, Curve
from hsc.evaluation.subjects import WHOLE
from hsc.files import write_atomically

Column = Callable[[Row], float | None]


def write_per_image(path: Path, rows: Sequence[Row], size: tuple[int, int]) -> None:
    """CSV with a row for every image, codec, layer and quality; `size` is (width, height) of all images."""
    width, height = size
    metrics = sorted({name for row in rows for name in row.metrics}, key=sort_key)
    plain = ["image", "codec", "layer", "quality", "bytes", "slice_bytes"]
    header = [*plain, "width", "height", "bpp", "bpp_estimated", "encode_seconds", "decode_seconds", *metrics]
    text = io.StringIO()
    writer = csv.DictWriter(text, header, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        numbers = {
            "bpp": 8 * row.bytes / (width * height),
            "bpp_estimated": None if row.bits_estimated is None else row.bits_estimated / (width * height),
            "encode_seconds": row.encode_seconds,
            "decode_seconds": row.decode_seconds,
            **row.metrics,
        }
        shown = {name: "" if value is None else f"{value:.9g}" for name, value in numbers.items()}
        writer.writerow({name: getattr(row, name) for name in plain} | {"width": width, "height": height} | shown)
    write_atomically(path, text.getvalue().encode())


def summarise(
    rows: Sequence[Row], pixels: int, data_key: str, generated: bool, trained_on: Sequence[str]
) -> list[Curve]:
    """A curve for every codec and layer, in the order of the rows.

    trained_on: metrics that the layered codec was trained with.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.codec, row.layer), []).append(row)
    return [
        _curve(codec, layer, own, pixels, data_key, generated, [] if layer == WHOLE else list(trained_on))
        for (codec, layer), own in groups.items()
    ]


def _curve(
    codec: str, layer: str, rows: Sequence[Row], pixels: int, data_key: str, generated: bool, trained_on: list[str]
) -> Curve:
    points = [list(group) for _, group in groupby(rows, key=lambda row: row.quality)]
    values, low, high = {}, {}, {}
    for name, column in _columns(rows, pixels).items():
        intervals = [_interval([column(row) for row in point]) for point in points]
        values[name], low[name], high[name] = map(np.array, zip(*intervals, strict=True))
    images = len(points[0])
    note = f"{images} {'generated ' if generated else ''}faces, {pixels} pixels each"
    return Curve(
        name=codec if layer == WHOLE else f"{codec} {layer}",
        description=f"{note}; {GENERATED}" if generated else note,
        values=values,
        low=low,
        high=high,
        codec=codec,
        layer="" if layer == WHOLE else layer,
        qualities=[point[0].quality for point in points],
        images=images,
        pixels=pixels,
        data_key=data_key,
        generated=generated,
        trained_on=trained_on,
    )


def _columns(rows: Sequence[Row], pixels: int) -> dict[str, Column]:
    """What is averaged, by its name in results.json."""
    columns: dict[str, Column] = {"bpp": lambda row: 8 * row.bytes / pixels, "bytes": lambda row: row.bytes}
    if rows[0].slice_bytes is not None:
        columns["slice_bytes"] = lambda row: row.slice_bytes
    if rows[0].bits_estimated is not None:
        columns["bpp_estimated"] = lambda row: (row.bits_estimated or 0) / pixels
    columns["encode_seconds"] = lambda row: row.encode_seconds
    columns["decode_seconds"] = lambda row: row.decode_seconds
    for metric in sorted(rows[0].metrics, key=sort_key):
        columns[metric] = lambda row, metric=metric: row.metrics[metric]  # type: ignore[misc]
    return columns


def _interval(values: Sequence[float | None]) -> tuple[float, ...]:
    """(mean, low, high) over the images that have the value."""
    from hsc.metrics.bootstrap import bootstrap_interval

    array = np.array(values, dtype=np.float64)
    known = array[~np.isnan(array)]
    if not len(known):
        return np.nan, np.nan, np.nan
    return tuple(bootstrap_interval(known, CONFIDENCE))
