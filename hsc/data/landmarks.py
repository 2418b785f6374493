"""Landmarks of the originals, computed once: targets of the landmark loss that no step recomputes."""

import hashlib
from collections.abc import Callable
from typing import BinaryIO, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from hsc.cache import cached_file
from hsc.data.dataset import FaceDataset, LandmarkCache, loader
from hsc.data.sampler import ShardBatches
from hsc.errors import HscError
from hsc.images import pictures_at_once
from hsc.progress import progress


class Landmarker(Protocol):
    """A landmark judge: from images [N, 3, S, S] in [-1, 1] to points [N, P, 2], x and y in pixels of the images."""

    @property
    def name(self) -> str: ...

    def __call__(self, image: Tensor, /) -> Tensor: ...


def landmark_cache(dataset: FaceDataset, judge: Landmarker, workers: int = 0) -> LandmarkCache:
    """The landmarks that `judge` finds on the faces at the data set's size, plain and mirrored; computed on the first
    call, where the judge is. `workers`: processes that read images which are not held in RAM.

    Kept in `hsc.files.cache_dir()` under a hash of the images, the size, the judge's name and the kind of its device,
    for every later run: a judge with other weights needs another name. Raises HscError when the points are not finite
    [N, P, 2].
    """
    place = (dataset.faces.pictures_key, dataset.size, judge.name, _device(judge).type)
    key = hashlib.sha256(" ".join(map(str, place)).encode()).hexdigest()

    def find() -> Callable[[BinaryIO], None]:
        points = _find_landmarks(dataset, judge, workers)
        return lambda stream: np.save(stream, points, allow_pickle=False)

    return LandmarkCache(cached_file(f"landmarks/{key}.npy", find), dataset.size)


@torch.inference_mode()
def _find_landmarks(dataset: FaceDataset, judge: Landmarker, workers: int) -> np.ndarray:
    """[n, 2, P, 2] float32: plain and mirrored."""
    n, device = len(dataset), _device(judge)
    batch = max(1, pictures_at_once(dataset.size) // 2)  # each comes with its mirror image
    found = []
    with progress(n, f"landmarks by {judge.name}") as advance:
        for read in loader(dataset, ShardBatches(n, batch), workers):
            images = read["image"].to(device)
            points = judge(torch.cat([images, images.flip(-1)])).float().cpu().numpy()
            if points.ndim != 3 or points.shape[::2] != (2 * len(images), 2) or not np.isfinite(points).all():
                wanted = f"[{2 * len(images)}, P, 2]"
                raise HscError(f"{judge.name} must give finite points {wanted}, not {list(points.shape)}")
            found.append(np.stack(np.split(points, 2), axis=1))
            advance(len(images))
    return np.concatenate(found)


def _device(judge: Landmarker) -> torch.device:
    parameter = next(judge.parameters(), None) if isinstance(judge, nn.Module) else None
    return torch.device("cpu") if parameter is None else parameter.device
