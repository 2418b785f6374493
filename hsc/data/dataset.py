"""Faces as tensors, one by one or a batch at a time."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from hsc.data.faces import Faces
from hsc.die_with_parent import die_with_parent
from hsc.errors import HscError
from hsc.images import resize, to_tensor, to_uint8

CACHE_SIZE = 128  # largest side of cached images, pixels
CACHE_BYTES = 2**30
# The float32 of each byte. Batches are made in NumPy, by look-up: at a few hundred kilobytes torch's threads spend
# milliseconds waiting for each other whenever training keeps the cores busy.
_LEVELS = torch.arange(256, dtype=torch.float32).div_(127.5).sub_(1).numpy()


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

    def __getitem__(self, key: tuple[int | np.ndarray, bool | np.ndarray]) -> np.ndarray:
        index, flipped = key
        return np.array(self._points[index, np.asarray(flipped, dtype=np.int64)])


class FaceDataset(Dataset):
    """Square faces at one size.

    `dataset[i]` is a dict: `image` float32 [3, S, S] in [-1, 1], `index` i, `name`, and `landmarks` [P, 2] in pixels
    after `add_landmarks`, and float32 `styles` [rows, w_dim] where W+ of the images (`styles`) are. Key `n + i`, n
    being the length, is image i mirrored, with its own landmarks; a mirrored image has no W+.
    `dataset[[i, j, …]]` is a whole batch: the same entries, with `image` [B, 3, S, S], `index` [B] and a list of names.

    Pixels are rounded to 8 bits after resizing, so that small sets can be held in RAM (`cache`; by default when S ≤ 128
    and they fit 1 GB) and look exactly alike with and without it. `size` None keeps the images' own, which must be one.

    `small_size`, a divisor of `size`, is for sets of large and small images: those of fewer pixels than `size` are
    brought to `small_size`, whose pixels are then repeated, so that their means over squares of pixels are what they
    were. Batches then say which are `large`, of all the pixels they have: a list of bools, which stays on the host.
    Raises HscError naming the image when it is broken or not square.
    """

    def __init__(
        self,
        faces: Faces,
        size: int | None = None,
        cache: bool | None = None,
        styles: np.ndarray | None = None,
        small_size: int | None = None,
    ):
        self.faces = faces
        self.size = size or faces.load(faces.names[0]).width
        self.landmarks: LandmarkCache | None = None
        self.styles = styles
        self._small_size = small_size
        self._large = np.ones(len(faces), dtype=bool)
        self._own_size = size is None
        fits = self.size <= CACHE_SIZE and len(faces) * 3 * self.size**2 <= CACHE_BYTES
        self._pixels = self._read_all() if (fits if cache is None else cache) else None

    def add_landmarks(self, landmarks: LandmarkCache) -> None:
        """Let batches carry landmarks. Raises HscError when they are of other images or another size."""
        if (len(landmarks), landmarks.size) != (len(self), self.size):
            raise HscError(
                f"landmarks of {len(landmarks)} images at {landmarks.size} pixels do not fit "
                f"{len(self)} images at {self.size} pixels"
            )
        self.landmarks = landmarks

    @property
    def cached(self) -> bool:
        """Whether all images are held in RAM, so that worker processes have nothing to do."""
        return self._pixels is not None

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, key: int | Sequence[int]) -> dict[str, Any]:
        if isinstance(key, Sequence):
            return self._batch(key)
        batch = self._batch([key])
        return {name: int(values[0]) if name == "index" else values[0] for name, values in batch.items()}

    def _batch(self, keys: Sequence[int]) -> dict[str, Any]:
        mirrored, index = np.divmod(np.asarray(keys, dtype=np.int64), len(self))
        if mirrored.min() < 0 or mirrored.max() > 1:
            raise IndexError(f"keys must be in [0, {2 * len(self)})")
        pixels = np.stack([self._read(i) for i in index]) if self._pixels is None else self._pixels[index]
        flips = mirrored.astype(bool)
        pixels[flips] = pixels[flips][..., ::-1]
        batch = {
            "image": torch.from_numpy(_LEVELS[pixels]),
            "index": torch.from_numpy(index),
            "name": [self.faces.names[i] for i in index],
        }
        if self.landmarks is not None:
            batch["landmarks"] = torch.from_numpy(self.landmarks[index, mirrored])
        if self.styles is not None and not flips.any():
            batch["styles"] = torch.from_numpy(self.styles[index]).float()
        if self._small_size is not None:
            batch["large"] = self._large[index].tolist()
        return batch

    def _read(self, index: int) -> np.ndarray:
        """One image at the data set's size, uint8 [3, S, S]."""
        name = self.faces.names[index]
        image = self.faces.load(name)
        if image.width != image.height:
            raise HscError(
                f"{self.faces.where(name)} is {image.width}×{image.height}, not square: "
                "crop and align faces with `hsc data prepare`"
            )
        if self._own_size and image.width != self.size:
            raise HscError(
                f"{self.faces.where(name)} is {image.width} pixels wide, {self.faces.names[0]} is {self.size}: "
                "choose one size for all"
            )
        size, repeats = self.size, 1
        if self._small_size is not None and image.width < size:
            size, repeats = self._small_size, size // self._small_size
            self._large[index] = False
        pixels = to_uint8(resize(to_tensor(image)[None], size))[0].transpose(2, 0, 1)
        return pixels.repeat(repeats, 1).repeat(repeats, 2) if repeats > 1 else pixels

    def _read_all(self) -> np.ndarray:
        """All images, uint8 [n, 3, S, S]. Threads pay because decoding and resizing release the interpreter's lock."""
        pixels = np.empty((len(self), 3, self.size, self.size), dtype=np.uint8)

        def fill(index: int) -> None:
            pixels[index] = self._read(index)

        with ThreadPoolExecutor() as pool:
            for _ in pool.map(fill, range(len(self))):
                pass
        return pixels


def loader(dataset: FaceDataset, batches: Sampler[list[int]] | Sequence[list[int]], workers: int) -> DataLoader:
    """The batches whose keys are given, read by so many processes where images are not held in RAM."""
    workers = 0 if dataset.cached else workers
    return DataLoader(
        dataset,
        batch_size=None,  # each key of the sampler is a whole batch, which the data set makes at once
        sampler=batches,
        num_workers=workers,
        persistent_workers=workers > 0,
        worker_init_fn=die_with_parent,
        pin_memory=torch.cuda.is_available(),
    )
