"""What each layer buys: the change of every metric from the layer before, on the same images."""

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from hsc.evaluation.bootstrap import bootstrap_interval
from hsc.evaluation.journal import WHOLE, Row
from hsc.evaluation.results import CONFIDENCE
from hsc.files import write_atomically


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
    """For every layered codec, quality, layer but the first, and metric; images without the metric are left out."""
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
                    interval = bootstrap_interval(differences, CONFIDENCE)
                    yield LayerGain(codec, quality, layer, after, bytes_more, metric, *interval)


def write_layer_gains(path: Path, rows: Sequence[Row]) -> None:
    """CSV with a line for each `LayerGain`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(LayerGain._fields)
    for gain in layer_gains(rows):
        writer.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in gain])
    write_atomically(path, text.getvalue().encode())
