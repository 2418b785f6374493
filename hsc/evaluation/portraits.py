"""Pictures of a few faces for the comparison's page: every prefix of the codec's file, and anchors at the same bytes.

`faces/faces.json` names the pictures beside it and says of each how many bytes it took and what the judges of identity
and landmarks think of it. Landmarks are fractions of the picture's side, so that pictures may be shown at any size.
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hsc.evaluation.measures import Identity, Landmarks, Measure, measure_all
from hsc.evaluation.measuring import Measuring
from hsc.evaluation.progress import progress
from hsc.evaluation.subjects import AnchorSubject, LayeredSubject, from_uint8
from hsc.files import write_atomically
from hsc.images import to_pil, to_uint8

LARGEST = 256  # pixels a side; larger pictures are shown reduced
WEBP_QUALITY = 95


def keep_portraits(
    folder: Path, measuring: Measuring, codec: LayeredSubject, anchors: Sequence[AnchorSubject], count: int
) -> None:
    """Keep the first `count` of the coded faces at the codec's default quality; what is there already is not redone."""
    names = [name for batch in measuring.batches for name in batch.names][:count]
    quality = codec.codec.default_quality if codec.codec.default_quality in codec.points else codec.points[0]
    judging = Judging([one for one in measuring.measures if isinstance(one, Identity | Landmarks)])
    parts = [measuring.faces.content_key, names, codec.identity, quality, judging.columns]
    key = hashlib.sha256(json.dumps([*parts, [anchor.identity for anchor in anchors]]).encode()).hexdigest()
    if _key(folder) == key:
        return
    about: dict[str, Any] = {
        "key": key,
        "codec": codec.name,
        "quality": quality,
        "layers": codec.layers,
        "metrics": judging.columns,
        "faces": [],
    }
    size = len(measuring.batches[0].names)
    batches = [range(start, min(start + size, len(names))) for start in range(0, len(names), size)]
    with progress(len(batches) * len(codec.layers), "layers") as advance:
        for places in batches:
            originals = measuring.load(names[places.start : places.stop])
            about["faces"] += _faces(folder, names, places, originals, codec, quality, anchors, judging, advance)
    write_atomically(folder / "faces.json", (json.dumps(about, indent=1, ensure_ascii=False) + "\n").encode())


def _faces(
    folder: Path,
    names: Sequence[str],
    places: range,
    originals: Tensor,
    codec: LayeredSubject,
    quality: int,
    anchors: Sequence[AnchorSubject],
    judging: "Judging",
    advance: Callable[[str], None],
) -> list[dict[str, Any]]:
    """The entries of some faces, whose pictures are kept."""
    own = names[places.start : places.stop]
    faces: list[dict[str, Any]] = [
        {
            "name": name,
            "original": {"landmarks": marks, "picture": _keep(folder, image)},
            "decoded": [],
            "anchors": {anchor.name: [] for anchor in anchors},
        }
        for name, image, marks in zip(own, originals, judging.landmarks(originals), strict=True)
    ]
    for coded in next(codec.code(own, originals, [quality])):
        shown = judging.describe(folder, places, originals, coded.images, coded.file_bytes)
        for face, entry in zip(faces, shown, strict=True):
            face["decoded"].append({"layer": coded.layer, **entry})
        for anchor in anchors:
            images, sizes, qualities = _at_sizes(anchor, originals, coded.file_bytes)
            shown = judging.describe(folder, places, originals, images, sizes)
            for face, entry, used in zip(faces, shown, qualities, strict=True):
                face["anchors"][anchor.name].append({"quality": used, **entry})
        advance(f"pictures of {len(names)} faces, {coded.layer}")
    return faces


class Judging:
    """The judges of identity and landmarks, looking at single pictures."""

    def __init__(self, measures: Sequence[Measure]) -> None:
        self.measures = measures
        wanted = ("identity_distance", "landmark_nme")
        self.columns = [name for one in measures for name in one.columns if name.startswith(wanted)]
        self.landmarker = next((one.judge for one in measures if isinstance(one, Landmarks)), None)

    def landmarks(self, images: Tensor) -> list[list[list[float]]]:
        """Of each image its points (x, y) as fractions of the side; none without a landmarker, or where it has none."""
        if self.landmarker is None:
            return [[] for _ in images]
        with torch.no_grad():
            points = self.landmarker(images) / images.shape[-1]
        return [
            [[round(x, 4), round(y, 4)] for x, y in face.tolist()] if face.isfinite().all() else [] for face in points
        ]

    def describe(
        self, folder: Path, places: Sequence[int], originals: Tensor, images: Tensor, sizes: Sequence[int]
    ) -> Iterator[dict[str, Any]]:
        """What the page needs to know of each decoded image."""
        metrics = measure_all(self.measures, places, originals, images)
        for image, size, marks, values in zip(images, sizes, self.landmarks(images), metrics, strict=True):
            known = {name: round(values[name], 5) for name in self.columns if values[name] == values[name]}
            yield {"bytes": size, "metrics": known, "landmarks": marks, "picture": _keep(folder, image)}


def _at_sizes(anchor: AnchorSubject, images: Tensor, sizes: Sequence[int]) -> tuple[Tensor, list[int], list[int]]:
    """Images decoded from what the anchor makes of each within its number of bytes, what it took, and the qualities."""
    found = list(anchor.pool.map(anchor.anchor.near_bytes, to_uint8(images), sizes))
    decoded = from_uint8(np.stack([result.decoded for _, result in found])).to(images.device)
    return decoded, [result.file_bytes for _, result in found], [quality for quality, _ in found]


def _keep(folder: Path, image: Tensor) -> str:
    """Write a picture [3, H, W] under the hash of its content; returns the file's name."""
    picture = to_pil(image)
    if max(picture.size) > LARGEST:
        picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=WEBP_QUALITY, method=6)
    name = f"{hashlib.sha256(buffer.getvalue()).hexdigest()[:16]}.webp"
    write_atomically(folder / name, buffer.getvalue())
    return name


def _key(folder: Path) -> str | None:
    try:
        return json.loads((folder / "faces.json").read_text(encoding="utf-8"))["key"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
