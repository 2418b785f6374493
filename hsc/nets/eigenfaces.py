"""The linear path: latents as principal components of small pictures of faces ("eigenfaces": Sirovich and Kirby 1987).

Networks that start from nothing need many images before they say where things are; the principal components say it at
once, and their order, from the most variance to the least, is that of the layers. The encoder's and the generator's
networks then learn only what a linear transform cannot do. Both halves are trained on from there
(`hsc.training.eigenfaces` fits them).

A last layer with a grid holds what the components of whole faces leave: those of its cells, squares of the picture at
full size, all with one basis.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsc.nets.generator import resampling_kernel, upsample
from hsc.nets.layers import FullyConnected

STEP = 0.012  # what one latent's unit moves of the picture, root mean square, in units of images in [-1, 1]
OVERSAMPLING = 32  # components computed beyond those wanted, which makes the last of these exact


class EigenAnalysis(nn.Module):
    """images [N, 3, size, size] → latents, one [N, rows, dim] a layer: a linear map of the picture of `side` pixels.

    With a `grid` the last layer's are those of its cells, [N, grid², dim]: a linear map of what the others leave.
    """

    def __init__(self, side: int, bands: Sequence[tuple[int, int]], size: int = 0, grid: int = 0) -> None:
        super().__init__()
        self.side, self.size, self.grid = side, size, grid
        self.bands = list(bands[:-1] if grid else bands)
        self.linear = FullyConnected(3 * side**2, sum(rows * dim for rows, dim in self.bands))
        if grid:
            self.mean = nn.Parameter(torch.zeros(3 * side**2))
            self.cells = FullyConnected(3 * (size // grid) ** 2, bands[-1][1])

    def forward(self, images: Tensor) -> list[Tensor]:
        with torch.autocast(images.device.type, enabled=False):
            flat = self.linear(small_pictures(images.float(), self.side).flatten(1))
            sizes = [rows * dim for rows, dim in self.bands]
            latents = [part.unflatten(1, band) for part, band in zip(flat.split(sizes, 1), self.bands, strict=True)]
            return [*latents, self.cells(self.left_over(images, flat))] if self.grid else latents

    def left_over(self, images: Tensor, flat: Tensor) -> Tensor:
        """What of images the numbers `flat` [N, all] of the other layers do not hold, cell by cell: [N, grid², numbers
        of a cell]. The components are orthonormal but for their scale, so their transpose draws what they hold.
        """
        basis = self.linear.weight * self.linear.weight_gain * latent_scale(self.side) ** 2
        held = (self.mean + flat @ basis).unflatten(1, (3, self.side, self.side))
        return to_cells(small_pictures(images.float(), self.size) - enlarged(held, self.size), self.grid)


class EigenSynthesis(nn.Module):
    """latents (one [N, rows, dim] a layer) → pictures [N, 3, side, side], for the generator to draw on.

    With a `grid` the pictures have the full `size`: enlarged, and with its cells added.
    """

    def __init__(self, side: int, bands: Sequence[tuple[int, int]], size: int = 0, grid: int = 0) -> None:
        super().__init__()
        self.side, self.size, self.grid = side, size, grid
        whole = bands[:-1] if grid else bands
        # Latents are many steps wide: a lower rate keeps one update from moving the whole picture.
        self.linear = FullyConnected(sum(rows * dim for rows, dim in whole), 3 * side**2, learning_rate=0.3)
        if grid:
            self.cells = FullyConnected(bands[-1][1], 3 * (size // grid) ** 2, learning_rate=0.3)

    def forward(self, latents: Sequence[Tensor]) -> Tensor:
        with torch.autocast(latents[0].device.type, enabled=False):
            whole = latents[:-1] if self.grid else latents
            flat = torch.cat([layer.float().flatten(1) for layer in whole], 1)
            picture = self.linear(flat).unflatten(1, (3, self.side, self.side))
            if not self.grid:
                return picture
            return enlarged(picture, self.size) + from_cells(self.cells(latents[-1].float()), self.size)


def latent_scale(side: int) -> float:
    """Length of one latent's unit in the space of pictures [3·side²]."""
    return STEP * math.sqrt(3) * side


def to_cells(pictures: Tensor, grid: int) -> Tensor:
    """[N, 3, size, size] → [N, grid², numbers of a cell], row after row."""
    return F.pixel_unshuffle(pictures, pictures.shape[-1] // grid).flatten(2).mT


def from_cells(cells: Tensor, size: int) -> Tensor:
    """What `to_cells` was given, of `size` pixels."""
    grid = math.isqrt(cells.shape[1])
    return F.pixel_shuffle(cells.mT.unflatten(2, (grid, grid)), size // grid)


def enlarged(pictures: Tensor, size: int) -> Tensor:
    """Pictures as the generator's output enlarges them: doubled until they have `size` pixels."""
    kernel = resampling_kernel().to(pictures.device)
    while pictures.shape[-1] < size:
        pictures = upsample(pictures, kernel)
    return pictures


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
