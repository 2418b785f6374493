"""From rows of single images to curves: means over images with confidence intervals."""

from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np

from hsc.evaluation.bootstrap import bootstrap_interval
from hsc.evaluation.journal import WHOLE, Row
from hsc.evaluation.results import CONFIDENCE, GENERATED, Curve
from hsc.metrics.info import sort_key

Column = Callable[[Row], float | None]


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
    points = [list(group) for _, group in groupby(rows, key=lambda row: row.point)]
    values, low, high = {}, {}, {}
    for name, column in _columns(rows, pixels).items():
        intervals = [_interval([column(row) for row in point]) for point in points]
        values[name], low[name], high[name] = map(np.array, zip(*intervals, strict=True))
    images, by_size = len(points[0]), points[0][0].target_bytes is not None
    note = f"{images} {'generated ' if generated else ''}faces, {pixels} pixels each"
    return Curve(
        name=codec if layer == WHOLE else f"{codec} {layer}",
        description=f"{note}; {GENERATED}" if generated else note,
        values=values,
        low=low,
        high=high,
        codec=codec,
        layer="" if layer == WHOLE else layer,
        qualities=[] if by_size else [point[0].point for point in points],
        targets=[point[0].point for point in points] if by_size else [],
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
    array = np.array(values, dtype=np.float64)
    known = array[~np.isnan(array)]
    if not len(known):
        return np.nan, np.nan, np.nan
    return tuple(bootstrap_interval(known, CONFIDENCE))
