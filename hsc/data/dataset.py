"""Faces as tensors, one by one or in batches, and their landmarks, which are computed once as targets of the landmark
loss."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, Dataset, Sampler

from hsc.cache import cached_file
from hsc.data.faces import Faces
from hsc.die_with_parent import die_with_parent
from hsc.errors import HscError
from hsc.images import pictures_at_once, resize, to_tensor, to_uint8
from hsc.progress import progress

CACHE_SIZE = 128  # largest side of cached images, pixels
CACHE_BYTES = 2**30
# The float32 value of each byte. Batches are assembled in NumPy, by look-up: on a few hundred kilobytes torch's threads
# spend milliseconds waiting for each other when training keeps the cores busy.
_LEVELS = torch.arange(256, dtype=torch.float32).div_(127.5).sub_(1).numpy()


class Landmarker(Protocol):
    """A landmark judge: from images [N, 3, S, S] in [-1, 1] to points [N, P, 2], x and y in pixels of the images."""

    @property
    def name(self) -> str: ...

    def __call__(self, image: Tensor, /) -> Tensor: ...


class Landmarks:
    """`points` [n, 2, P, 2] float32 of every image of a set and of its mirror image, in pixels. The file is
    memory-mapped, so worker processes share its pages."""

    def __init__(self, file: Path):
        self.file = file
        self.points = np.load(file, mmap_mode="r", allow_pickle=False)

    def __reduce__(self) -> tuple:
        return Landmarks, (self.file,)


class FaceDataset(Dataset):
    """Square faces at one size.

    `dataset[i]` is a dict: `image` float32 [3, S, S] in [-1, 1], `index` i, `name`, and `landmarks` [P, 2] in pixels
    after `add_landmarks`, and float32 `styles` [rows, w_dim] if the W+ of the images (`styles`) are given. Key `n + i`,
    where n is the length, is image i mirrored, with its own landmarks; a mirrored image has no W+.
    `dataset[[i, j, …]]` is a whole batch: the same entries, with `image` [B, 3, S, S], `index` [B] and a list of names.

    Pixels are rounded to 8 bits after resizing, so that small sets can be held in RAM (`cache`; by default if S ≤ 128
    and they fit in 1 GB) and are identical with and without it. `size` None keeps the images' own, which must all be
    the same.

    `small_size`, a divisor of `size`, is for sets of large and small images: images smaller than `size` are resized to
    `small_size` and their pixels are then repeated, so that averaging over squares of pixels restores them. Batches
    then contain `large`, a list of bools on the host: which images have their full resolution.
    Raises HscError naming the image if it is broken or not square.
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
        self.landmarks: Landmarks | None = None
        self.styles = styles
        self._small_size = small_size
        self._large = np.ones(len(faces), dtype=bool)
        self._own_size = size is None
        fits = self.size <= CACHE_SIZE and len(faces) * 3 * self.size**2 <= CACHE_BYTES
        self._pixels = self._read_all() if (fits if cache is None else cache) else None

    def add_landmarks(self, judge: Landmarker, workers: int = 0) -> None:
        """Add to batches the landmarks that `judge` finds on the faces at this size, plain and mirrored; computed on
        the first call, on the judge's device. `workers`: processes that read images which are not held in RAM.

        They are cached in `hsc.files.cache_dir()` under a hash of the images, the size, the judge's name and the kind
        of its device, for later runs: a judge with other weights needs another name. Raises HscError if the points are
        not finite [N, P, 2].
        """
        place = (self.faces.pictures_key, self.size, judge.name, _device(judge).type)
        key = hashlib.sha256(" ".join(map(str, place)).encode()).hexdigest()

        def find() -> Callable[[BinaryIO], None]:
            points = _find_landmarks(self, judge, workers)
            return lambda stream: np.save(stream, points, allow_pickle=False)

        self.landmarks = Landmarks(cached_file(f"landmarks/{key}.npy", find))

    @property
    def cached(self) -> bool:
        """Whether all images are held in RAM, so that worker processes are not needed."""
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
            batch["landmarks"] = torch.from_numpy(self.landmarks.points[index, mirrored])
        if self.styles is not None and not flips.any():
            batch["styles"] = torch.from_numpy(self.styles[index]).float()
        if self._small_size is not None:
            batch["large"] = self._large[index].tolist()
        return batch

    def _read(self, index: int) -> np.ndarray:
        """One image at the data set's size, uint8 [3, S, S]."""
        name = self.faces.names[index]
        image = self.faces.load(name)
        self.faces.check_square(name, image.width, image.height)
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
        """All images, uint8 [n, 3, S, S]. Threads help because decoding and resizing release the GIL."""
        pixels = np.empty((len(self), 3, self.size, self.size), dtype=np.uint8)

        def fill(index: int) -> None:
            pixels[index] = self._read(index)

        with ThreadPoolExecutor() as pool:
            for _ in pool.map(fill, range(len(self))):
                pass
        return pixels


def loader(dataset: FaceDataset, batches: Sampler[list[int]] | Sequence[list[int]], workers: int) -> DataLoader:
    """The batches with these keys, read by `workers` processes if images are not held in RAM."""
    workers = 0 if dataset.cached else workers
    return DataLoader(
        dataset,
        batch_size=None,  # each key of the sampler is a whole batch, which the data set returns at once
        sampler=batches,
        num_workers=workers,
        persistent_workers=workers > 0,
        worker_init_fn=die_with_parent,
        pin_memory=torch.cuda.is_available(),
    )


@torch.inference_mode()
def _find_landmarks(dataset: FaceDataset, judge: Landmarker, workers: int) -> np.ndarray:
    """[n, 2, P, 2] float32: plain and mirrored."""
    n, device = len(dataset), _device(judge)
    batch = max(1, pictures_at_once(dataset.size) // 2)  # each comes with its mirror image
    found = []
    with progress(n, f"landmarks by {judge.name}") as advance:
        for read in loader(dataset, BatchSampler(range(n), batch, drop_last=False), workers):
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
