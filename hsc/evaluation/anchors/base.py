"""Base class of the codecs that hsc is compared with: timing, search for a file size, and a cache of results on disk,
since VVC takes a second per face and anchors do not change between evaluations.
"""

import hashlib
import io
import json
import time
import zipfile
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from hsc.cache import write_to_cache
from hsc.errors import HscError
from hsc.files import cache_dir
from hsc.images import encoded


class AnchorNotAvailable(HscError):
    """A codec this machine cannot run; the message says what to install."""


@dataclass(frozen=True)
class AnchorResult:
    """One image through a codec and back.

    file_bytes: length of the whole file, headers included; bits per pixel are computed from it.
    slice_bytes: length of the coded picture alone, if the format separates it from headers; otherwise None.
    decoded: uint8 [H, W, 3] RGB.
    encode_seconds, decode_seconds: wall time, including process start.
    """

    file_bytes: int
    slice_bytes: int | None
    decoded: np.ndarray
    encode_seconds: float
    decode_seconds: float


class Anchor(ABC):
    """A codec with one integer that trades bytes for quality.

    ```
    image uint8 [H, W, 3] ──encode(quality)──▶ file (bytes) ──decode──▶ uint8 [H, W, 3]
    ```
    A subclass sets the four attributes and implements `version`, `encode` and `decode`; the rest is shared.
    """

    name: str
    scale: range  # all qualities of the encoder, by increasing file size
    qualities: tuple[int, ...]  # the ladder used in evaluations, by increasing file size
    settings: str  # everything else that determines the file; part of the cache key

    @abstractmethod
    def version(self) -> str:
        """The encoder's version. Raises AnchorNotAvailable if the codec is missing."""

    @abstractmethod
    def encode(self, image: np.ndarray, quality: int) -> bytes:
        """uint8 [H, W, 3] RGB → the whole file."""

    @abstractmethod
    def decode(self, file: bytes, shape: tuple[int, int]) -> np.ndarray:
        """A file and the (height, width) of its image → uint8 [H, W, 3] RGB."""

    def slice_bytes(self, file: bytes) -> int | None:
        """Bytes of the coded picture alone; None if the format does not separate it from headers."""
        return None

    def encode_decode(self, image: np.ndarray, quality: int) -> AnchorResult:
        """Code one image, uint8 [H, W, 3] RGB, at a quality of `scale`, and decode the file.

        Results are cached under a hash of pixels, codec, version, settings and quality, so stale ones are never used.
        """
        if quality not in self.scale:
            first, last = self.scale[0], self.scale[-1]
            raise HscError(
                f"{self.name} has no quality {quality}: choose one from {first} (few bytes) to {last} (many)"
            )
        entry = self.cache_entry(image, quality)
        if (kept := _read(entry)) is not None:
            return kept
        started = time.perf_counter()
        file = self.encode(image, quality)
        encoded = time.perf_counter()
        decoded = self.decode(file, image.shape[:2])
        finished = time.perf_counter()
        result = AnchorResult(len(file), self.slice_bytes(file), decoded, encoded - started, finished - encoded)
        write_to_cache(entry, _pack(result))
        return result

    def near_bytes(self, image: np.ndarray, target: int) -> tuple[int, AnchorResult]:
        """The (quality, result) with the most bytes that bisection finds within `target` bytes; the lowest quality if
        even that exceeds the target."""
        best = self.scale[0], self.encode_decode(image, self.scale[0])
        if best[1].file_bytes > target:
            return best
        low, high = 1, len(self.scale) - 1
        while low <= high:
            middle = (low + high) // 2
            result = self.encode_decode(image, self.scale[middle])
            if result.file_bytes <= target:
                best, low = (self.scale[middle], result), middle + 1
            else:
                high = middle - 1
        return best

    def cache_entry(self, image: np.ndarray, quality: int) -> Path:
        """Path of the cached result for this image and quality."""
        digest = hashlib.sha256(f"{self.name}\n{self.version()}\n{self.settings}\n{quality}\n{image.shape}\n".encode())
        digest.update(np.ascontiguousarray(image).tobytes())
        name = digest.hexdigest()
        return cache_dir() / "anchors" / self.name / name[:2] / f"{name[2:]}.zip"


def _pack(result: AnchorResult) -> bytes:
    fields, packed = asdict(result), io.BytesIO()
    picture = encoded(Image.fromarray(fields.pop("decoded")), "PNG")
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("result.json", json.dumps(fields))
        archive.writestr("decoded.png", picture)
    return packed.getvalue()


def _read(entry: Path) -> AnchorResult | None:
    """A cached result; None if it is missing or damaged (it is then recomputed)."""
    try:
        with zipfile.ZipFile(entry) as archive:
            fields = json.loads(archive.read("result.json"))
            with Image.open(io.BytesIO(archive.read("decoded.png"))) as picture:
                return AnchorResult(decoded=np.array(picture), **fields)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, OSError):
        return None
