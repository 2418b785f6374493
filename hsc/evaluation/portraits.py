"""Pictures of a few faces for the comparison's page: what every codec makes of them at every quality and layer.

They are kept as the evaluation decodes them. `faces/faces.json` names the pictures beside it and says of each how many
bytes it took, what the judges think of it and where its landmarks are, as fractions of the picture's side, so that
pictures may be shown at any size.
"""

import hashlib
import io
import json
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from hsc.evaluation.gallery import INDEX
from hsc.evaluation.journal import WHOLE, Row
from hsc.files import write_atomically
from hsc.images import to_pil, to_tensor

if TYPE_CHECKING:
    from hsc.judges import Judge

LARGEST = 256  # pixels a side; larger pictures are shown reduced
WEBP_QUALITY = 95


class Portraits:
    """The pictures of some faces in a folder. A picture's file is named after all that it depends on: `place`, which
    says so of a layer at a point, and the face."""

    def __init__(self, folder: Path, names: Sequence[str], originals: str) -> None:
        """`originals`: the place of the originals."""
        self.folder = folder
        self.names = list(names)
        self.originals = originals

    def has(self, place: str, names: Sequence[str]) -> bool:
        """Whether the pictures of one layer at one point are there, for those of these faces that are kept."""
        return all(self._path(place, name).is_file() for name in names if name in self.names)

    def keep(self, place: str, names: Sequence[str], images: Tensor) -> None:
        """Write those of the pictures [N, 3, H, W] in [-1, 1] that are to be kept."""
        for name, image in zip(names, images, strict=True):
            if name in self.names:
                write_atomically(self._path(place, name), _webp(image))

    def write_index(
        self,
        kept: Sequence[tuple[str, Row]],
        trained_on: Sequence[str],
        landmarker: "Judge | None",
        device: torch.device,
    ) -> None:
        """Write faces.json, where it does not say the same already.

        kept: rows with the places of their pictures, in the order they are listed. trained_on: metrics that the layered
        codec was trained with.
        """
        parts = [[place, row.image] for place, row in kept], list(trained_on), landmarker and landmarker.name
        key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        if self._key() == key:
            return
        find = partial(_landmarks, landmarker=landmarker, device=device)
        faces: dict[str, dict[str, Any]] = {}
        for name in self.names:
            path = self._path(self.originals, name)
            original = {"picture": path.name, "landmarks": find(path)}
            faces[name] = {"name": name, "original": original, "shots": {}}
        for place, row in kept:
            path = self._path(place, row.image)
            shot = {
                "quality": row.quality,
                "layer": "" if row.layer == WHOLE else row.layer,
                "bytes": row.bytes,
                "metrics": {name: round(value, 5) for name, value in row.metrics.items() if math.isfinite(value)},
                "picture": path.name,
                "landmarks": find(path),
            }
            faces[row.image]["shots"].setdefault(row.codec, []).append(shot)
        content = {"key": key, "trained_on": list(trained_on), "faces": list(faces.values())}
        write_atomically(self.folder / INDEX, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())

    def _path(self, place: str, name: str) -> Path:
        return self.folder / f"{hashlib.sha256(json.dumps([place, name]).encode()).hexdigest()[:20]}.webp"

    def _key(self) -> str | None:
        try:
            return json.loads((self.folder / INDEX).read_text(encoding="utf-8"))["key"]
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _landmarks(path: Path, landmarker: "Judge | None", device: torch.device) -> list[list[float]]:
    """Points (x, y) of a picture as fractions of its side; none without a landmarker, or where it finds none."""
    if landmarker is None:
        return []
    with torch.no_grad(), Image.open(path) as picture:
        image = to_tensor(picture.convert("RGB"))[None].to(device)
        points = landmarker(image)[0] / image.shape[-1]
    return [[round(x, 4), round(y, 4)] for x, y in points.tolist()] if points.isfinite().all() else []


def _webp(image: Tensor) -> bytes:
    picture = to_pil(image)
    if max(picture.size) > LARGEST:
        picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=WEBP_QUALITY, method=6)
    return buffer.getvalue()
