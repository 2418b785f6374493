"""Landmarks of the originals, computed once: targets of the landmark loss that no step recomputes."""

import hashlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import torch
from torch import Tensor

from hsc.data.dataset import FaceDataset
from hsc.data.faces import Faces
from hsc.errors import HscError
from hsc.files import cache_dir, write_atomically

PROGRESS_SECONDS = 10.0


class Landmarker(Protocol):
    """A landmark judge: from images [N, 3, S, S] in [-1, 1] to points [N, P, 2], x and y in pixels of the images."""

    @property
    def name(self) -> str: ...

    def __call__(self, image: Tensor, /) -> Tensor: ...


class LandmarkCache:
    """Landmarks of every image of a set and of its mirror image.

    `cache[index, flipped]` is [P, 2] float32, in pixels at `size`; arrays of B indices and flags give [B, P, 2].
    The file is mapped, not read: worker processes share its pages.
    """

    def __init__(self, file: Path, size: int):
        self.file, self.size = file, size
        self._points = np.load(file, mmap_mode="r", allow_pickle=False)  # [n, 2, P, 2]

    def __reduce__(self) -> tuple:
        return LandmarkCache, (self.file, self.size)

    def __len__(self) -> int:
        return len(self._points)

    def __getitem__(self, key: tuple[int | np.ndarray, int | np.ndarray]) -> np.ndarray:
        index, flipped = key
        return np.array(self._points[index, np.asarray(flipped, dtype=np.int64)])


def landmark_cache(faces: Faces, size: int, judge: Landmarker, batch: int = 32) -> LandmarkCache:
    """The landmarks that `judge` finds on `faces` at `size` pixels, plain and mirrored; computed on the first call.

    Kept in `hsc.files.cache_dir()` under a hash of the images, the size and the judge's name, for every later run.
    """
    key = hashlib.sha256(f"{faces.content_key} {size} {judge.name}".encode()).hexdigest()
    file = cache_dir() / "landmarks" / f"{key}.npy"
    if not file.is_file():
        points = _find_landmarks(FaceDataset(faces, size), judge, batch)
        write_atomically(file, _saver(points))
    return LandmarkCache(file, size)


@torch.no_grad()
def _find_landmarks(dataset: FaceDataset, judge: Landmarker, batch: int) -> np.ndarray:
    """[n, 2, P, 2] float32: plain and mirrored."""
    n, started, told = len(dataset), time.monotonic(), time.monotonic()
    found: list[np.ndarray] = []
    for start in range(0, n, batch):
        plain = range(start, min(start + batch, n))
        images = dataset[[*plain, *(n + index for index in plain)]]["image"]
        points = judge(images).detach().float().cpu().numpy()
        if points.ndim != 3 or points.shape[::2] != (len(images), 2) or not np.isfinite(points).all():
            raise HscError(f"landmarker {judge.name} must give finite points [{len(images)}, P, 2], not {points.shape}")
        found.append(np.stack([points[: len(plain)], points[len(plain) :]], axis=1))
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            print(
                f"landmarks ({judge.name}): {plain[-1] + 1}/{n} faces, {told - started:.0f} s",
                file=sys.stderr,
                flush=True,
            )
    return np.concatenate(found)


def _saver(points: np.ndarray) -> Callable[[BinaryIO], None]:
    return lambda file: np.save(file, points, allow_pickle=False)
