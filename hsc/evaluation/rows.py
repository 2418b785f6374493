"""Per-image results of an evaluation: journaled, so that an interrupted evaluation resumes where it stopped, written as
a table, and read again for confidence intervals of the differences between two curves.
"""

import csv
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hsc.errors import HscError
from hsc.evaluation.bootstrap import resampled_means
from hsc.journal import Journal
from hsc.metrics.info import sort_key

WHOLE = "all"  # layer name of codecs without layers


@dataclass(frozen=True)
class Row:
    """One image through one codec at one quality, decoded from one prefix of the file.

    target_bytes: the size for which the quality was searched; None if the quality itself was requested.
    """

    image: str
    codec: str
    layer: str
    quality: int
    bytes: int  # of the whole file
    slice_bytes: int | None  # of the coded picture alone, if the format separates it
    bits_estimated: float | None  # by the entropy model, if there is one
    encode_seconds: float
    decode_seconds: float
    metrics: dict[str, float]
    target_bytes: int | None = None

    @property
    def point(self) -> int:
        """The requested size or quality."""
        return self.quality if self.target_bytes is None else self.target_bytes


class RowJournal:
    """The rows that an evaluation has measured.

    Each is kept with a key that covers everything its numbers depend on (codec, images, judges), so rows of another
    model in the same folder are ignored.
    """

    def __init__(self, path: Path) -> None:
        self._journal = Journal(path)
        self._rows = dict(_known(self._journal))

    def find(self, key: str, codec: str, point: int, images: Iterable[str], layers: Iterable[str]) -> list[Row] | None:
        """The rows of these images, layer by layer; None if one is missing."""
        rows = [self._rows.get((key, codec, layer, point, image)) for layer in layers for image in images]
        return None if None in rows else rows  # type: ignore[return-value]

    def add(self, key: str, rows: Iterable[Row]) -> None:
        rows = list(rows)
        self._journal.add({"key": key} | asdict(row) for row in rows)
        self._rows |= {_place(key, row): row for row in rows}


@dataclass
class ImageValues:
    """Per-image values behind a curve's means. `values`: [points, images] by the curve's metric names, NaN if unknown;
    `names`: of the images, sorted."""

    points: list[int]
    names: list[str]
    values: dict[str, np.ndarray]

    @cached_property
    def resampled(self) -> dict[str, np.ndarray]:
        """Means [resamples, points] of the values over images drawn with replacement, the same for equal names."""
        means = resampled_means(np.concatenate(list(self.values.values())))
        return dict(zip(self.values, np.split(means, len(self.values), axis=1), strict=True))


def measured(row: Row, pixels: int) -> dict[str, float | None]:
    """All values of an image, by their names in result files."""
    return {
        "bpp": 8 * row.bytes / pixels,
        "bytes": row.bytes,
        "slice_bytes": row.slice_bytes,
        "bpp_estimated": None if row.bits_estimated is None else row.bits_estimated / pixels,
        "encode_seconds": row.encode_seconds,
        "decode_seconds": row.decode_seconds,
        **{name: row.metrics[name] for name in sorted(row.metrics, key=sort_key)},
    }


def per_image_table(rows: Sequence[Row], size: tuple[int, int]) -> dict[str, list[Any]]:
    """One column per name, one entry per image, codec, layer and point; `size` is (width, height) of all images."""
    width, height = size
    plain = ("image", "codec", "layer", "quality", "target_bytes", "bytes", "slice_bytes")
    table: dict[str, list[Any]] = {name: [getattr(row, name) for row in rows] for name in plain}
    table |= {"width": [width] * len(rows), "height": [height] * len(rows)}
    numbers = [measured(row, width * height) for row in rows]
    return table | {name: [row[name] for row in numbers] for name in numbers[0] if name not in table}


def read_images(path: Path, metrics: Collection[str]) -> dict[tuple[str, str], ImageValues]:
    """Rates and these metrics from a per-image table, by codec and layer (empty for codecs without layers); empty if
    there is no such file.

    Raises HscError if it is damaged.
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
    """The values of one curve. Raises KeyError if an image is missing at some point."""
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


def _known(journal: Journal) -> Iterator[tuple[tuple, Row]]:
    for fields in journal:
        try:
            key, row = fields["key"], Row(**{name: value for name, value in fields.items() if name != "key"})
        except (KeyError, TypeError, AttributeError):
            continue  # damaged, or of another version: it is measured again
        yield _place(key, row), row


def _place(key: str, row: Row) -> tuple:
    return key, row.codec, row.layer, row.point, row.image
