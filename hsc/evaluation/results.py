"""Result files: rate–distortion curves in CompressAI's JSON format, which its own plot command reads.

`results.json` is one CompressAI object (`name`, `description`, `results`) for the whole file of the codec evaluated,
so any tool for that format plots it; its `entries` holds one such object for every codec and layer, with fields that
CompressAI's format lacks (confidence intervals, qualities, which images).
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from hsc.errors import HscError
from hsc.evaluation.bootstrap import CONFIDENCE
from hsc.evaluation.rows import ImageValues, read_images
from hsc.files import read_json, write_atomically
from hsc.metrics import own
from hsc.metrics.info import MetricInfo, canonical_name, is_quality, metric_info

PLAIN = ("layer", "qualities", "targets", "images", "pixels", "data_key", "generated", "trained_on")  # stored as is
COUNTS = {"files": "whole files", "pictures": "coded pictures alone"}  # which bytes rates count
GENERATED = "generated faces: biased, not comparable"


@dataclass
class Curve:
    """Results of one codec (or one layer of it) at every quality, as means over all images.

    values: by name as in the file, [points] each; always includes `bpp`. low, high: bounds of the confidence intervals.
    images: their number; pixels: per image; data_key: hash of their data set; all if known.
    """

    name: str
    values: dict[str, np.ndarray]
    low: dict[str, np.ndarray] = field(default_factory=dict)
    high: dict[str, np.ndarray] = field(default_factory=dict)
    description: str = ""
    codec: str = ""
    layer: str = ""
    qualities: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)  # target bytes, if sizes were requested instead of qualities
    images: int | None = None
    pixels: int | None = None
    data_key: str = ""
    labels: list[str] = field(default_factory=list)  # of each point, if every point is a different model (a sweep)
    generated: bool = False
    trained_on: list[str] = field(default_factory=list)  # metrics the codec was trained on
    described: dict[str, MetricInfo] = field(default_factory=dict)  # metrics of judges that are not built into hsc
    source: Path | None = None  # the file it was read from
    images_of: ImageValues | None = None  # the per-image values of the means, if known
    count: str = "files"  # what `bpp` counts, a key of `COUNTS`

    def point_name(self, place: int) -> str:
        """Name of the point with index `place`, for readers; empty if unknown."""
        if place < len(self.labels):
            return self.labels[place]
        if place < len(self.targets):
            return f"{self.targets[place]} bytes asked for"
        return f"quality {self.qualities[place]}" if place < len(self.qualities) else ""

    @property
    def bpp(self) -> np.ndarray:
        return self.values["bpp"]

    @property
    def metrics(self) -> list[str]:
        """The names in `values` that measure quality."""
        return [name for name in self.values if name in self.described or is_quality(name)]

    def measured(self, metric: str) -> np.ndarray:
        """Indices of the points that have the metric, by increasing rate."""
        values = self.values.get(metric, np.full(len(self.bpp), np.nan))
        order = np.argsort(self.bpp, kind="stable")
        return order[(np.isfinite(values) & np.isfinite(self.bpp) & (self.bpp > 0))[order]]

    def info(self, metric: str) -> MetricInfo:
        """Description of a metric. Raises HscError if it is unknown whether higher or lower is better."""
        found = self.described.get(metric) or metric_info(metric)
        if found is None:
            raise HscError(f"whether more of {metric} is better is not known")
        return found


def counted(curve: Curve, count: str) -> Curve:
    """The curve with its rate counted that way; NaN if its results do not separate coded pictures from headers."""
    if count == curve.count:
        return curve
    assert curve.count == "files", curve.count
    to_bpp = 8 / curve.pixels if curve.pixels else np.nan
    sizes = curve.values.get("slice_bytes", np.full(len(curve.bpp), np.nan))
    images = curve.images_of
    if images is not None:
        of_images = images.values.get("slice_bytes", np.full_like(images.values["bpp"], np.nan))
        images = replace(images, values=images.values | {"bpp": of_images * to_bpp})
    return replace(curve, values=curve.values | {"bpp": sizes * to_bpp}, images_of=images, count=count)


def write_results(path: Path, curves: Sequence[Curve], headline: Curve, about: dict[str, Any]) -> None:
    """Write all curves, `headline` at the top; `about` says how they were measured."""
    content = _entry(headline) | {"about": about, "entries": [_entry(curve) for curve in curves]}
    write_atomically(path, (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_results(path: str | Path) -> list[Curve]:
    """The curves of a result file of hsc or CompressAI, or of a folder: its results.json, else every JSON file in it.

    Raises HscError if there is none or a file has another format.
    """
    path = Path(path)
    if path.is_dir():
        files = [path / "results.json"] if (path / "results.json").is_file() else sorted(path.glob("*.json"))
        if not files:
            raise HscError(
                f"{path} holds no results: run hsc evaluate with --out {path}, or hsc train, to its end first"
            )
        return [curve for file in files for curve in read_results(file)]
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise HscError(f"{path}: no such file or folder; give what hsc evaluate wrote") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise HscError(f"{path} is not a JSON result file ({error})") from error
    entries = content.get("entries", [content]) if isinstance(content, dict) else content
    try:
        curves = [_curve(entry, path) for entry in entries]
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        wanted = '{"name", "results": {"bpp": [...], METRIC: [...]}}'
        raise HscError(f"{path} is not a result file in CompressAI's format, {wanted}") from error
    columns = {name for curve in curves for name in curve.metrics}
    known = read_images(path.with_name("per_image.csv"), columns) if path.name == "results.json" else {}
    return [replace(curve, images_of=_images_of(curve, known)) for curve in curves]


def _images_of(curve: Curve, known: Mapping[tuple[str, str], ImageValues]) -> ImageValues | None:
    """The per-image values behind the curve's means; None if the table beside the file does not match."""
    images = known.get((curve.codec, curve.layer))
    if images is None or images.points != (curve.targets or curve.qualities):
        return None
    return images if np.allclose(images.values["bpp"].mean(axis=1), curve.bpp, rtol=1e-6, atol=0) else None


def read_about(path: str | Path) -> dict[str, Any]:
    """How the results in a file or folder of `hsc evaluate` were measured; empty for other files."""
    path = Path(path)
    about = read_json(path / "results.json" if path.is_dir() else path).get("about")
    return about if isinstance(about, dict) else {}


def _entry(curve: Curve) -> dict[str, Any]:
    """CompressAI's three fields first, then those of hsc."""
    bounds = {"level": CONFIDENCE, "low": _lists(curve.low), "high": _lists(curve.high)}
    return {
        "name": curve.name,
        "description": curve.description,
        "results": _lists(curve.values),
        "confidence": bounds,
        "codec": curve.codec,
        **{name: getattr(curve, name) for name in PLAIN},
        "described": own.to_json(curve.described),
    }


def _lists(arrays: dict[str, np.ndarray]) -> dict[str, list[float | None]]:
    """Lists for JSON, which has no NaN and no infinity (the PSNR of identical images): both become null."""
    rounded = {name: [float(f"{value:.9g}") for value in array] for name, array in arrays.items()}
    return {name: [value if math.isfinite(value) else None for value in values] for name, values in rounded.items()}


def _curve(entry: dict[str, Any], path: Path) -> Curve:
    values = _arrays(entry["results"])
    lengths = {len(array) for array in values.values()}
    if lengths != {len(values["bpp"])} or not len(values["bpp"]):
        raise ValueError("values of different lengths")
    confidence = entry.get("confidence", {})
    name = entry.get("name") or path.stem
    return Curve(
        name=name,
        values=values,
        low=_arrays(confidence.get("low", {})),
        high=_arrays(confidence.get("high", {})),
        description=entry.get("description", ""),
        codec=entry.get("codec") or name,
        described=own.from_json(entry.get("described", {})),
        source=path,
        **{name: entry[name] for name in PLAIN if name in entry},
    )


def _arrays(lists: dict[str, list[float | None]]) -> dict[str, np.ndarray]:
    """Arrays of the lists of numbers; anything else, such as CompressAI's nested settings, is left out."""
    numeric = {name: values for name, values in lists.items() if isinstance(values, list)}
    return {canonical_name(name): np.array(values, dtype=np.float64) for name, values in numeric.items()}
