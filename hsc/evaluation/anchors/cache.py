"""Anchor results kept on disk: VVC takes a second a face, and anchors never change between evaluations."""

import hashlib
import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from hsc.cache import write_to_cache
from hsc.evaluation.anchors.base import Anchor, AnchorResult
from hsc.files import cache_dir


class Cached(Anchor):
    """The same anchor, remembering what it made of each image.

    A result is filed under the hash of the pixels, the codec with its version and settings, and the quality, so nothing
    stale is ever found. Entries are written whole or not at all, so several processes may share the folder.
    """

    def __init__(self, anchor: Anchor) -> None:
        self.anchor = anchor
        self.name, self.scale, self.qualities, self.settings = (
            anchor.name,
            anchor.scale,
            anchor.qualities,
            anchor.settings,
        )
        self.folder = cache_dir() / "anchors" / anchor.name

    def version(self) -> str:
        return self.anchor.version()

    def encode(self, image: np.ndarray, quality: int) -> bytes:
        return self.anchor.encode(image, quality)

    def decode(self, file: bytes, shape: tuple[int, int]) -> np.ndarray:
        return self.anchor.decode(file, shape)

    def slice_bytes(self, file: bytes) -> int | None:
        return self.anchor.slice_bytes(file)

    def encode_decode(self, image: np.ndarray, quality: int) -> AnchorResult:
        entry = self.entry(image, quality)
        if (found := _read(entry)) is not None:
            return found
        result = self.anchor.encode_decode(image, quality)
        write_to_cache(entry, _pack(result))
        return result

    def entry(self, image: np.ndarray, quality: int) -> Path:
        """Where the result for this image and quality is kept."""
        digest = hashlib.sha256(f"{self.name}\n{self.version()}\n{self.settings}\n{quality}\n{image.shape}\n".encode())
        digest.update(np.ascontiguousarray(image).tobytes())
        name = digest.hexdigest()
        return self.folder / name[:2] / f"{name[2:]}.zip"


def _pack(result: AnchorResult) -> bytes:
    fields = asdict(result)
    picture, packed = io.BytesIO(), io.BytesIO()
    Image.fromarray(fields.pop("decoded")).save(picture, "PNG")
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("result.json", json.dumps(fields))
        archive.writestr("decoded.png", picture.getvalue())
    return packed.getvalue()


def _read(entry: Path) -> AnchorResult | None:
    """A kept result; None when there is none or it is damaged (it is then made anew)."""
    try:
        with zipfile.ZipFile(entry) as archive:
            fields = json.loads(archive.read("result.json"))
            with Image.open(io.BytesIO(archive.read("decoded.png"))) as picture:
                return AnchorResult(decoded=np.array(picture), **fields)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, OSError):
        return None
