"""The codecs under measurement: hsc's layered codec and ordinary codecs behind one interface.

```
images [N, 3, H, W] ──code(points)──▶ for every point and layer: real files ──decode──▶ 8-bit images [N, 3, H, W]
```
"""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from hsc.codec import Codec
from hsc.coding.container import read
from hsc.errors import HscError
from hsc.evaluation.anchors import Anchor, AnchorResult
from hsc.evaluation.rows import WHOLE
from hsc.files import LONGEST_NAME
from hsc.images import resize, to_tensor, to_uint8


@dataclass
class Coded:
    """A batch of images decoded from one prefix of their files; lists of N."""

    layer: str
    qualities: list[int]  # at which each was coded
    images: Tensor  # [N, 3, H, W] in [-1, 1], of 8-bit values, as an image viewer shows them
    file_bytes: list[int]
    slice_bytes: Sequence[int | None]
    bits_estimated: Sequence[float | None]
    encode_seconds: list[float]
    decode_seconds: list[float]


class Subject(Protocol):
    """A codec under measurement. `identity` changes whenever its results might.

    points: the requests, one after the other: qualities, or sizes in bytes if `by_size`. at_once: how many images are
    coded in parallel.
    """

    name: str
    layers: tuple[str, ...]
    points: tuple[int, ...]
    by_size: bool
    at_once: int
    identity: str
    about: str

    def code(self, names: Sequence[str], images: Tensor, points: Sequence[int]) -> Iterator[list[Coded]]:
        """Code and decode [N, 3, H, W] images of 8-bit values at some of the points, one after the other; each yields
        one result per layer, in coding order, on the device of the images."""


class LayeredSubject:
    """The layered codec. Each prefix is written as a separate file, measured on disk, read back and decoded.

    Latents are computed once for all qualities. Times are those of the batch, divided by its number of images; encoding
    time includes the latents, and is that of the whole file for all its prefixes.
    """

    by_size = False
    at_once = 1

    def __init__(self, codec: Codec, folder: Path, qualities: Sequence[int] | None, probe: Tensor) -> None:
        """`folder` receives the files; `probe` [1, 3, H, W] is coded to identify this codec.

        Raises HscError for a quality that the codec does not have.
        """
        self.codec = codec
        self.name = codec.name
        self.layers = tuple(codec.layers)
        self.points = tuple(range(codec.num_qualities) if qualities is None else dict.fromkeys(qualities))
        if missing := [quality for quality in self.points if not 0 <= quality < codec.num_qualities]:
            raise HscError(f"{codec.name} has no quality {missing[0]}: they go from 0 to {codec.num_qualities - 1}")
        self.folder = folder / codec.name.replace("/", "_")
        self.about = f"hsc codec {codec.name}, {codec.size}×{codec.size}, every layer prefix a real file"
        self.identity = self._behaviour(probe)

    def code(self, names: Sequence[str], images: Tensor, points: Sequence[int]) -> Iterator[list[Coded]]:
        started = time.perf_counter()
        latents = self.codec.analyse(images)
        analysed = time.perf_counter() - started
        for quality in points:
            started = time.perf_counter()
            prefixes = self._prefixes(images, latents, quality)
            seconds = [(analysed + time.perf_counter() - started) / len(names)] * len(names)
            yield [
                self._decoded(names, images, quality, layer, *prefix, seconds)
                for layer, prefix in zip(self.layers, prefixes, strict=True)
            ]

    def _prefixes(
        self, images: Tensor, latents: Sequence[Tensor], quality: int
    ) -> list[tuple[list[bytes], list[float]]]:
        """For each number of layers, the files and the entropy model's ideal bits for each."""
        coded = self.codec.encode(latents, quality, sizes=[(images.shape[-1], images.shape[-2])] * len(images))
        return [
            ([file[:end] for file, end in zip(coded.files, ends, strict=True)], coded.bits(depth).tolist())
            for depth, ends in enumerate(coded.prefix_lengths.T.tolist(), start=1)
        ]

    def _decoded(
        self,
        names: Sequence[str],
        images: Tensor,
        quality: int,
        layer: str,
        streams: Sequence[bytes],
        bits: Sequence[float],
        seconds: list[float],
    ) -> Coded:
        paths = [self.folder / f"quality-{quality}" / layer / _file_of(name) for name in names]
        for path, stream in zip(paths, streams, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(stream)
        files = [path.read_bytes() for path in paths]
        reading = time.perf_counter()
        decoded = torch.stack(self.codec.decompress(files))
        finished = time.perf_counter()
        return Coded(
            layer,
            [quality] * len(names),
            _shown(to_uint8(resize(decoded, images.shape[-1])), images.device),
            [path.stat().st_size for path in paths],
            [payload_bytes(file) for file in files],
            bits,
            seconds,
            [(finished - reading) / len(names)] * len(names),
        )

    def _behaviour(self, probe: Tensor) -> str:
        """Hash of the codec's output for one image, which detects retrained weights under an old name."""
        digest = hashlib.sha256(repr((self.name, self.layers, "payload")).encode())
        latents = self.codec.analyse(probe)
        for quality in self.points:
            files, _ = self._prefixes(probe, latents, quality)[-1]
            digest.update(files[0])
            digest.update(to_uint8(torch.stack(self.codec.decompress(files))).tobytes())
        return digest.hexdigest()


class AnchorSubject:
    """An ordinary codec at its ladder of qualities, coding images in parallel."""

    by_size = False
    at_once = os.cpu_count() or 1

    def __init__(self, anchor: Anchor, pool: ThreadPoolExecutor) -> None:
        self.anchor = anchor
        self.pool = pool
        self.name = anchor.name
        self.layers: tuple[str, ...] = (WHOLE,)
        self.points = tuple(anchor.qualities)
        self.about = f"{anchor.name}: {anchor.version()}; {anchor.settings}"
        self.identity = hashlib.sha256(self.about.encode()).hexdigest()

    def code_one(self, image: np.ndarray, point: int) -> tuple[int, AnchorResult]:
        """One image, uint8 [H, W, 3] → the quality it was coded at, and the result."""
        return point, self.anchor.encode_decode(image, point)

    def code(self, names: Sequence[str], images: Tensor, points: Sequence[int]) -> Iterator[list[Coded]]:
        # All points at once: large pictures come one per batch, and a single one keeps only one core busy.
        pictures = to_uint8(images)
        waiting = [[self.pool.submit(self.code_one, picture, point) for picture in pictures] for point in points]
        for futures in waiting:
            qualities, results = zip(*(future.result() for future in futures), strict=True)
            yield [
                Coded(
                    WHOLE,
                    list(qualities),
                    _shown([result.decoded for result in results], images.device),
                    [result.file_bytes for result in results],
                    [result.slice_bytes for result in results],
                    [None] * len(results),
                    [result.encode_seconds for result in results],
                    [result.decode_seconds for result in results],
                )
            ]


class SizedAnchorSubject(AnchorSubject):
    """An ordinary codec that spends at most a given number of bytes on every image, or the fewest it can beyond that.

    It has a separate curve, since its points differ in kind from those of the ladder.
    """

    by_size = True

    def __init__(self, anchor: Anchor, pool: ThreadPoolExecutor, sizes: Sequence[int]) -> None:
        super().__init__(anchor, pool)
        self.name = f"{anchor.name} at bytes"
        self.points = tuple(sizes)
        self.about += "; the quality of each image by bisection"
        self.identity = hashlib.sha256(self.about.encode()).hexdigest()

    def code_one(self, image: np.ndarray, point: int) -> tuple[int, AnchorResult]:
        return self.anchor.near_bytes(image, point)


def payload_bytes(file: bytes) -> int | None:
    """Payload bytes of the layers of an .hsc file, without header, lengths and checksums; None for other files."""
    try:
        return sum(map(len, read(file).chunks))
    except HscError:
        return None


@contextmanager
def anchor_pool() -> Iterator[ThreadPoolExecutor]:
    """Threads that run encoder processes: one per core. Pending work is cancelled when the block is left."""
    pool = ThreadPoolExecutor(max_workers=AnchorSubject.at_once, thread_name_prefix="anchor")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _shown(pictures: Iterable[np.ndarray], device: torch.device) -> Tensor:
    """N pictures, uint8 [H, W, 3] → [N, 3, H, W] in [-1, 1]."""
    return torch.stack(list(map(to_tensor, pictures))).to(device)


def _file_of(name: str) -> Path:
    """Path of an image's file, s01/01.pgm.hsc for s01/01.pgm; names that would be too long are hashed."""
    path = Path(f"{name}.hsc")
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        return path.with_name(f"{hashlib.sha256(os.fsencode(name)).hexdigest()[:32]}.hsc")
    return path
