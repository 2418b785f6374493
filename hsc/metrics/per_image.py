"""Per-image values, stored so that the result is the same for any number of processes.

Every value is stored with a 64-bit key derived from the image's name. Before reduction, rows are sorted by key and
duplicates (samplers pad the last batch of a distributed run) are dropped, so one process and eight reduce the same
float64 array in the same order. Memory: 16 bytes per image and value.
"""

import hsc.compat  # noqa: F401  isort: skip  torchvision beside CPU torch, before torchmetrics imports it
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric


def image_keys(names: Sequence[str]) -> Tensor:
    """int64 [N], a hash of each name: uniformly distributed, and the same on every machine."""
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names)
    return torch.from_numpy(np.frombuffer(digests, dtype="<i8").astype(np.int64))


def sorted_once(keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Rows sorted by key, only the first row of every key: [N], [N, C] → [M], [M, C]."""
    keys, order = keys.sort(stable=True)
    first = torch.ones_like(keys, dtype=torch.bool)
    first[1:] = keys[1:] != keys[:-1]
    return keys[first], values[order[first]]


class PerImage(Metric):
    """A table with one row of numbers for every image; subclasses reduce it.

    `compute()` returns (keys int64 [M], values float64 [M, C]) over all processes, sorted by key, each image once.
    """

    full_state_update = False
    keys: list[Tensor] | Tensor
    values: list[Tensor] | Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("keys", [], dist_reduce_fx=_join)
        self.add_state("values", [], dist_reduce_fx=_join)

    def update(self, names: Sequence[str], values: Tensor) -> None:
        """Add images by name; values are [N] or [N, C]."""
        if len(names) != len(values):
            raise ValueError(f"{len(names)} names for {len(values)} values")
        assert isinstance(self.keys, list)
        assert isinstance(self.values, list)
        self.keys.append(image_keys(names).to(self.device))
        values = values[:, None] if values.ndim == 1 else values
        self.values.append(values.detach().to(self.device, torch.float64))

    def table(self) -> tuple[Tensor, Tensor]:
        """The result of `compute`, to be called inside a `compute`, where the states hold all processes' images."""
        return sorted_once(_join(self.keys), _join(self.values))

    def compute(self) -> Any:
        return self.table()

    def named(self, values: Tensor) -> dict[str, Tensor]:
        """The columns of `values` [M, C] that are meaningful for a single image, [M] each, by name."""
        return {}

    def rows(self) -> dict[int, dict[str, float]]:
        """This process's values of each image, by its key (`image_keys`)."""
        keys, values = self.table()
        columns = {name: column.tolist() for name, column in self.named(values).items()} if len(keys) else {}
        return {key: {name: column[row] for name, column in columns.items()} for row, key in enumerate(keys.tolist())}

    def sync(self, *args: Any, **kwargs: Any) -> None:
        # torchmetrics gathers a list tensor by tensor, so every process must hold the same number of them with the same
        # number of dimensions, even a process without images.
        self.keys = [_join(self.keys) if len(self.keys) else torch.empty(0, dtype=torch.int64, device=self.device)]
        empty = torch.empty(0, 0, dtype=torch.float64, device=self.device)
        self.values = [_join(self.values) if len(self.values) else empty]
        super().sync(*args, **kwargs)


class PerImageMean(PerImage):
    """Means of named columns over all images, for example those of several perceptual judges; images that lack a value
    (NaN) are left out of its mean.

    >>> mean = PerImageMean("lpips", "psnr")
    >>> mean.update(["a", "b"], torch.tensor([[0.1, 20.0], [0.3, 22.0]]))
    >>> mean.compute()["psnr"].item()
    21.0
    """

    def __init__(self, *columns: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.columns = columns

    def named(self, values: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.columns, values.unbind(1), strict=True))

    def compute(self) -> dict[str, Tensor]:
        """Means by name, float64, of the columns known for at least one image."""
        keys, values = self.table()
        means = self.named(values.nanmean(dim=0)[None]) if len(keys) else {}
        return {name: mean[0] for name, mean in means.items() if not mean.isnan()}


def _join(parts: list[Tensor] | Tensor) -> Tensor:
    """The non-empty parts as one tensor."""
    if isinstance(parts, Tensor):
        return parts
    filled = [part for part in parts if len(part)]
    return torch.cat(filled) if filled else parts[0] if parts else torch.empty(0)
