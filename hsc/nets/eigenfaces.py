"""The linear path: latents as principal components of small pictures of faces ("eigenfaces": Sirovich and Kirby 1987).

Networks that start from nothing need many images before they say where things are; the principal components say it at
once, and their order, from the most variance to the least, is that of the layers. The encoder's and the generator's
networks then learn only what a linear transform cannot do. Both halves are trained on from there
(`hsc.training.eigenfaces` fits them).
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsc.nets.layers import FullyConnected

OVERSAMPLING = 32  # components computed beyond those wanted, which makes the last of these exact


class EigenAnalysis(nn.Module):
    """images [N, 3, size, size] → latents, one [N, rows, dim] a layer: a linear map of the picture of `side` pixels."""

    def __init__(self, side: int, bands: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.side, self.bands = side, list(bands)
        self.linear = FullyConnected(3 * side**2, sum(rows * dim for rows, dim in bands))

    def forward(self, images: Tensor) -> list[Tensor]:
        with torch.autocast(images.device.type, enabled=False):
            pictures = small_pictures(images.float(), self.side)
            latents = self.linear(pictures.flatten(1)).split([rows * dim for rows, dim in self.bands], 1)
        return [flat.unflatten(1, band) for flat, band in zip(latents, self.bands, strict=True)]


class EigenSynthesis(nn.Module):
    """latents (one [N, rows, dim] a layer) → pictures [N, 3, side, side], for the generator to draw on."""

    def __init__(self, side: int, bands: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.side = side
        # Latents are many steps wide: a lower rate keeps one update from moving the whole picture.
        self.linear = FullyConnected(sum(rows * dim for rows, dim in bands), 3 * side**2, learning_rate=0.3)

    def forward(self, latents: Sequence[Tensor]) -> Tensor:
        with torch.autocast(latents[0].device.type, enabled=False):
            flat = torch.cat([layer.float().flatten(1) for layer in latents], 1)
            return self.linear(flat).unflatten(1, (3, self.side, self.side))


def small_pictures(images: Tensor, side: int) -> Tensor:
    """Means over squares of pixels: [N, 3, size, size] → [N, 3, side, side]; `side` divides size."""
    return F.avg_pool2d(images, images.shape[-1] // side)


def components(pictures: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Principal components of pictures [N, 3, side, side] and their mirror images.

    → mean [3·side²], components [3·side², count] orthonormal, most variance first, and their standard deviations
    [count]. Where there are fewer components than `count`, zeros follow.
    """
    both = torch.cat([pictures, pictures.flip(-1)]).flatten(1)
    mean = both.mean(0)
    there = min(count, *both.shape)
    sketched = min(count + OVERSAMPLING, *both.shape)
    with torch.random.fork_rng():
        torch.manual_seed(0)  # for the sketch that the decomposition starts from
        _, singular, vectors = torch.svd_lowrank(both - mean, sketched, niter=4)
    missing = (0, count - there)
    deviations = singular[:there] / math.sqrt(len(both))
    return mean, F.pad(vectors[:, :there], missing), F.pad(deviations, missing)
