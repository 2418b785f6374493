"""The linear path: latents as principal components of small pictures of faces ("eigenfaces": Sirovich and Kirby 1987).

Networks trained from scratch need many images to learn the spatial layout of a face. Principal components describe it
from the start, and ordered by decreasing variance they are assigned to the layers in turn. The networks of encoder and
generator then learn only what a linear transform cannot represent. The components initialise both halves
(`hsc.training.eigenfaces` fits them), which are then trained further.

For high rates the last latents may be principal components of blocks instead: of what whole faces leave out, at the
size of the images. All blocks share one basis, so these need hardly any weights.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsc.config.schema import BLOCK_GRID as GRID
from hsc.nets.planes import (
    emphasis,
    enlarged,
    from_blocks,
    from_planes,
    mirror_pairs,
    numbers_of_planes,
    small_pictures,
    to_blocks,
    to_planes,
)

STEP = 0.012  # RMS change of the weighted picture (of an image in [-1, 1]) per unit of one latent
OVERSAMPLING = 32  # extra components to compute, so that the last of those wanted are exact


class Components(nn.Module):
    """Principal components of whole faces: planes [N, numbers] ↔ latents [N, count], one matrix for both directions.

    The components of faces and their mirror images are symmetric or antisymmetric, so the rows of `weight` hold only
    their left halves. They are components of planes times `emphasis`, initially orthonormal up to a common factor.
    Training continues from there, for both directions at once; each component stays symmetric or antisymmetric.
    """

    def __init__(self, side: int, count: int) -> None:
        super().__init__()
        left, right = mirror_pairs(side)
        self.weight_gain = 0.3 / math.sqrt(len(left))
        self.scale = latent_scale(side)
        self.weight = nn.Parameter(torch.randn(count, len(left)))
        self.mean = nn.Parameter(torch.zeros(numbers_of_planes(side)))
        self.register_buffer("antisymmetric", torch.zeros(count, dtype=torch.bool))
        self.register_buffer("emphasis", emphasis(side))
        self.register_buffer("left", left, persistent=False)
        self.register_buffer("right", right, persistent=False)
        self.antisymmetric: Tensor
        self.emphasis: Tensor
        self.left: Tensor
        self.right: Tensor

    @torch.no_grad()
    def set_to(self, mean: Tensor, basis: Tensor) -> None:
        """mean [numbers], basis [numbers, count] orthonormal, each symmetric or antisymmetric."""
        self.mean.copy_(mean)
        halves = basis[self.left]
        self.weight.copy_(halves.t() * (math.sqrt(2) / self.weight_gain))
        self.antisymmetric.copy_((halves * basis[self.right]).sum(0) < 0)

    def read(self, planes: Tensor) -> Tensor:
        """The latents of planes."""
        weighted = (planes - self.mean) * self.emphasis
        left, right = weighted[:, self.left], weighted[:, self.right]
        # One product for both kinds: for a single face, reading the matrix takes all the time.
        even, odd = (torch.cat([left + right, left - right]) @ self.weight.t()).chunk(2)
        return torch.where(self.antisymmetric, odd, even) * (self.weight_gain / self.scale / math.sqrt(2))

    def drawn(self, latents: Tensor) -> Tensor:
        """Latents → planes: the mean plus the weighted components."""
        latents = latents * (self.weight_gain * self.scale / math.sqrt(2))
        kinds = torch.cat([latents * ~self.antisymmetric, latents * self.antisymmetric])
        even, odd = (kinds @ self.weight).chunk(2)
        weighted = latents.new_empty(len(latents), len(self.mean))
        weighted[:, self.left], weighted[:, self.right] = even + odd, even - odd
        return self.mean + weighted / self.emphasis


class Blocks(nn.Module):
    """Principal components of blocks: pictures [N, 3, size, size] ↔ latents [N, GRID² · count], block by block; one
    matrix for both directions and all blocks.

    They are components of blocks times the emphasis at their centre, initially orthonormal up to a common factor. A
    unit of a latent changes the picture as much as a unit of a latent of `Components`.
    """

    def __init__(self, size: int, count: int) -> None:
        super().__init__()
        numbers = 3 * (size // GRID) ** 2
        self.weight_gain = 0.3 / math.sqrt(numbers)
        self.scale = latent_scale(size)
        self.weight = nn.Parameter(torch.randn(count, numbers))
        luminance = emphasis(size)[: size**2].view(1, 1, size, size)
        self.register_buffer("emphasis", to_blocks(luminance, GRID).mean(2, keepdim=True)[0])
        self.emphasis: Tensor

    @torch.no_grad()
    def set_to(self, basis: Tensor) -> None:
        """basis [numbers of a block, count], orthonormal."""
        self.weight.copy_(basis.t() / self.weight_gain)

    def read(self, pictures: Tensor) -> Tensor:
        """The latents of pictures."""
        weighted = to_blocks(pictures, GRID) * self.emphasis
        return (weighted @ self.weight.t()).flatten(1) * (self.weight_gain / self.scale)

    def drawn(self, latents: Tensor) -> Tensor:
        """Latents → pictures."""
        weighted = latents.unflatten(1, (GRID**2, -1)) @ self.weight * (self.weight_gain * self.scale)
        return from_blocks(weighted / self.emphasis, GRID)


class LinearPicture(NamedTuple):
    """What the linear path shows."""

    small: Tensor  # [N, 3, side, side], of whole faces
    large: Tensor  # [N, 3, 2·side, 2·side], with the blocks; without blocks the same as `small`
    of_blocks: Tensor | None = None  # [N, 3, 2·side, 2·side], what the blocks add to `large`


class LinearPath(nn.Module):
    """The parameters that analysis and synthesis share.

    `side`: of the pictures of whole faces. `bands`: (rows, dim) of each layer. `blocks`: components of each block of
    pictures of twice the side; their latents are the last ones of the last layer.
    """

    def __init__(self, side: int, bands: Sequence[tuple[int, int]], blocks: int = 0) -> None:
        super().__init__()
        self.side, self.bands = side, list(bands)
        self.num_whole = sum(rows * dim for rows, dim in bands) - GRID**2 * blocks
        self.components = Components(side, self.num_whole)
        self.blocks = Blocks(2 * side, blocks) if blocks else None

    def picture(self, whole: Tensor) -> Tensor:
        """Latents of whole faces → pictures [N, 3, side, side]."""
        return from_planes(self.components.drawn(whole), self.side)

    def left_over(self, images: Tensor, whole: Tensor) -> Tensor:
        """What the latents of whole faces do not show of images, [N, 3, 2·side, 2·side]."""
        return small_pictures(images, 2 * self.side) - enlarged(self.picture(whole), 2 * self.side)


class EigenAnalysis(LinearPath):
    """images [N, 3, size, size] → latents, one [N, rows, dim] per layer: linear in the image."""

    def forward(self, images: Tensor) -> list[Tensor]:
        with torch.autocast(images.device.type, enabled=False):
            images = images.float()
            flat = self.whole(images)
            if self.blocks is not None:
                flat = torch.cat([flat, self.blocks.read(self.left_over(images, flat))], 1)
            layers = flat.split([rows * dim for rows, dim in self.bands], 1)
            return [layer.unflatten(1, band) for layer, band in zip(layers, self.bands, strict=True)]

    def whole(self, images: Tensor) -> Tensor:
        """The latents of whole faces, [N, num_whole]."""
        return self.components.read(to_planes(images, self.side))


class EigenSynthesis(LinearPath):
    """latents (one [N, rows, dim] per layer) → pictures, the input of the picture heads."""

    def forward(self, latents: Sequence[Tensor]) -> LinearPicture:
        with torch.autocast(latents[0].device.type, enabled=False):
            flat = torch.cat([layer.float().flatten(1) for layer in latents], 1)
            small = self.picture(flat[:, : self.num_whole])
            if self.blocks is None:
                return LinearPicture(small, small)
            of_blocks = self.blocks.drawn(flat[:, self.num_whole :])
            return LinearPicture(small, enlarged(small, 2 * self.side) + of_blocks, of_blocks)


def latent_scale(side: int) -> float:
    """Norm of a unit change of one latent in the space of pictures [3·side²]."""
    return STEP * math.sqrt(3) * side


def principal_components(
    images: Iterable[Tensor], side: int, count: int, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Principal components of images, given as batches [N, 3, size, size], and of their mirror images: of their planes
    times `weights` [numbers], which must be symmetric.

    → mean [numbers], components [numbers, count] orthonormal, in order of decreasing variance, and their standard
    deviations [count]. If there are fewer components than `count`, the rest are zero.

    Components of images and their mirror images are symmetric or antisymmetric, so each kind is computed separately
    from half the numbers. Memory does not grow with the number of images.
    """
    left, right = mirror_pairs(side)
    total = torch.zeros(len(weights), dtype=torch.float64)
    moments = {sign: torch.zeros(len(left), len(left), dtype=torch.float64) for sign in (1, -1)}
    seen = 0
    for batch in images:
        planes = to_planes(batch, side).double()
        total, seen = total + planes.sum(0), seen + len(planes)
        for sign in moments:
            vectors = (planes[:, left] + sign * planes[:, right]) / math.sqrt(2)
            moments[sign] += vectors.t() @ vectors
    mean = total / seen
    mean[left] = mean[right] = (mean[left] + mean[right]) / 2
    wanted, scale = min(count + OVERSAMPLING, len(left), seen), torch.outer(weights[left], weights[left])
    found = []
    for sign, moment in moments.items():
        middle = (mean[left] + sign * mean[right]) / math.sqrt(2)
        found.append(_leading((moment / seen - torch.outer(middle, middle)) * scale, wanted))
    variances = torch.cat([values for values, _ in found])
    basis = variances.new_zeros(len(weights), len(variances))
    basis[left] = torch.cat([vectors for _, vectors in found], 1) / math.sqrt(2)
    mirrored = [sign * vectors for sign, (_, vectors) in zip(moments, found, strict=True)]
    basis[right] = torch.cat(mirrored, 1) / math.sqrt(2)
    first = variances.argsort(descending=True, stable=True)[:count]
    missing = (0, count - len(first))
    deviations = variances[first].clamp_min(0).sqrt()
    return mean.float(), F.pad(basis[:, first], missing).float(), F.pad(deviations, missing).float()


def _leading(covariance: Tensor, wanted: int) -> tuple[Tensor, Tensor]:
    """The largest eigenvalues [wanted] and their eigenvectors [numbers, wanted]."""
    if 2 * wanted >= len(covariance):  # sketching half of them or more would take longer
        variances, directions = torch.linalg.eigh(covariance)
        return variances.flip(0)[:wanted], directions.flip(1)[:, :wanted]
    with torch.random.fork_rng():
        torch.manual_seed(0)  # for the sketch that the decomposition starts from
        _, variances, directions = torch.svd_lowrank(covariance, wanted, niter=4)
    return variances, directions


def block_components(left_over: Iterable[Tensor], count: int, weights: Tensor) -> Tensor:
    """Principal components that all blocks of pictures [N, 3, size, size] share, of blocks times `weights` [GRID², 1]:
    [numbers of a block, count], orthonormal, in order of decreasing variance.
    """
    moments: Tensor | float = 0.0
    for pictures in left_over:
        blocks = (to_blocks(pictures, GRID) * weights).flatten(0, 1).double()
        moments = moments + blocks.t() @ blocks
    assert isinstance(moments, Tensor)
    return torch.linalg.eigh(moments)[1].flip(1)[:, :count].float()
