"""From per-image rows to curves (means over images with confidence intervals) and to the gain of each layer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hsc.evaluation.bootstrap import bootstrap_interval
from hsc.evaluation.results import GENERATED, Curve
from hsc.evaluation.rows import WHOLE, Row, measured
from hsc.evaluation.table import csv_text
from hsc.files import write_atomically
from hsc.metrics.info import MetricInfo


def summarise(
    rows: Sequence[Row],
    pixels: int,
    data_key: str,
    generated: bool,
    trained_on: Sequence[str],
    described: Mapping[str, MetricInfo],
) -> list[Curve]:
    """One curve per codec and layer, in the order of the rows.

    trained_on: metrics that the layered codec was trained on. described: metrics that are not built into hsc.
    """
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.codec, row.layer), []).append(row)
    curves = [
        _curve(codec, layer, own, pixels, data_key, generated, [] if layer == WHOLE else list(trained_on))
        for (codec, layer), own in groups.items()
    ]
    return [replace(curve, described=dict(described)) for curve in curves]


def _curve(
    codec: str, layer: str, rows: Sequence[Row], pixels: int, data_key: str, generated: bool, trained_on: list[str]
) -> Curve:
    points = [list(group) for _, group in groupby(rows, key=lambda row: row.point)]
    numbers = [[measured(row, pixels) for row in point] for point in points]
    values, low, high = {}, {}, {}
    for name in (name for name, value in numbers[0][0].items() if value is not None):
        intervals = [_interval([of_image[name] for of_image in point]) for point in numbers]
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


def _interval(values: Sequence[float | None]) -> tuple[float, ...]:
    """(mean, low, high) over the images that have the value."""
    array = np.array(values, dtype=np.float64)
    known = array[~np.isnan(array)]
    if not len(known):
        return np.nan, np.nan, np.nan
    return tuple(bootstrap_interval(known))


class LayerGain(NamedTuple):
    """Mean difference of a metric between two prefixes of the same files, with a paired bootstrap interval."""

    codec: str
    quality: int
    layer: str
    after: str
    bytes_more: float
    metric: str
    difference: float
    low: float
    high: float


def layer_gains(rows: Sequence[Row]) -> Iterator[LayerGain]:
    """Gains by layered codec, quality, layer (except the first) and metric; images without the metric are left out."""
    groups: dict[tuple[str, int], dict[str, dict[str, Row]]] = {}
    for row in rows:
        if row.layer != WHOLE:
            groups.setdefault((row.codec, row.quality), {}).setdefault(row.layer, {})[row.image] = row
    for (codec, quality), layers in groups.items():
        for after, layer in pairwise(layers):
            pairs = [(layers[after][image], row) for image, row in layers[layer].items()]
            bytes_more = sum(row.bytes - before.bytes for before, row in pairs) / len(pairs)
            for metric in pairs[0][1].metrics:
                both = [(before.metrics.get(metric), row.metrics.get(metric)) for before, row in pairs]
                differences = [b - a for a, b in both if a is not None and b is not None]
                if differences:
                    interval = bootstrap_interval(differences)
                    yield LayerGain(codec, quality, layer, after, bytes_more, metric, *interval)


def write_layer_gains(path: Path, rows: Sequence[Row]) -> None:
    """CSV with one line per `LayerGain`."""
    write_atomically(path, csv_text([LayerGain._fields, *layer_gains(rows)]).encode())
