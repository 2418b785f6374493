"""What every codec hsc is compared with has in common."""

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from hsc.errors import HscError


class AnchorNotAvailable(HscError):
    """A codec this machine cannot run; the message says what to install."""


@dataclass(frozen=True)
class AnchorResult:
    """One image through a codec and back.

    file_bytes: length of the whole file, headers included: what bits per pixel are counted from.
    slice_bytes: length of the coded picture alone, where the format tells them apart; None elsewhere.
    decoded: uint8 [H, W, 3] RGB.
    encode_seconds, decode_seconds: wall time, process start included.
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
    A subclass sets the four attributes and writes `version`, `encode` and `decode`; timing, the search for a size
    and caching (`cache.Cached`) are the same for all.
    """

    name: str
    scale: range  # every quality the encoder knows, from few to many bytes
    qualities: tuple[int, ...]  # the ladder evaluations use, from few to many bytes
    settings: str  # whatever else decides the file: part of the key results are cached by

    @abstractmethod
    def version(self) -> str:
        """The encoder's version. Raises AnchorNotAvailable where the codec is missing."""

    @abstractmethod
    def encode(self, image: np.ndarray, quality: int) -> bytes:
        """uint8 [H, W, 3] RGB → the whole file."""

    @abstractmethod
    def decode(self, file: bytes, shape: tuple[int, int]) -> np.ndarray:
        """A file and the (height, width) of its image → uint8 [H, W, 3] RGB."""

    def slice_bytes(self, file: bytes) -> int | None:
        """Bytes of the coded picture alone; None where the format does not tell them apart."""
        return None

    def encode_decode(self, image: np.ndarray, quality: int) -> AnchorResult:
        """Code one image, uint8 [H, W, 3] RGB, at a quality of `scale`, and decode the file."""
        if quality not in self.scale:
            first, last = self.scale[0], self.scale[-1]
            raise HscError(
                f"{self.name} has no quality {quality}: choose one from {first} (few bytes) to {last} (many)"
            )
        started = time.perf_counter()
        file = self.encode(image, quality)
        encoded = time.perf_counter()
        decoded = self.decode(file, image.shape[:2])
        finished = time.perf_counter()
        return AnchorResult(len(file), self.slice_bytes(file), decoded, encoded - started, finished - encoded)

    def at_bytes(self, image: np.ndarray, target: int) -> tuple[int, AnchorResult]:
        """The (quality, result) with the most bytes that bisection finds within `target` bytes.

        Raises HscError when even the lowest quality needs more.
        """
        quality, result = self.near_bytes(image, target)
        if result.file_bytes > target:
            raise HscError(
                f"{self.name} needs at least {result.file_bytes} bytes for this image: ask for no less than that"
            )
        return quality, result

    def near_bytes(self, image: np.ndarray, target: int) -> tuple[int, AnchorResult]:
        """As `at_bytes`, and the lowest quality where even that needs more than `target` bytes."""
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
