"""Small pictures as vectors, for linear maps: planes of luminance and colour."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from hsc.nets.stylegan2 import resampling_kernel, upsample

# Colour has a quarter of luminance's resolution in each direction: more is not visible at some hundred bytes per face.
CHROMA = 4

# Where an aligned face lies in its picture, as fractions of the side: centre and standard deviation, vertically and
# horizontally. Luminance is weighted by a Gaussian there, which falls to SURROUNDINGS far away; colour by COLOUR.
CENTRE, EXTENT = (0.53, 0.5), (0.34, 0.28)
SURROUNDINGS, COLOUR = 0.3, 0.9


def small_pictures(images: Tensor, side: int) -> Tensor:
    """Means over squares of pixels: [N, 3, size, size] → [N, 3, side, side]; `side` divides size."""
    return F.avg_pool2d(images, images.shape[-1] // side)


def enlarged(pictures: Tensor, size: int) -> Tensor:
    """Pictures enlarged as in the generator's output: doubled until they are `size` pixels wide."""
    kernel = resampling_kernel().to(pictures.device)
    while pictures.shape[-1] < size:
        pictures = upsample(pictures, kernel)
    return pictures


def to_planes(images: Tensor, side: int) -> Tensor:
    """Images [N, 3, size, size] as luminance at `side` and two planes of colour at a CHROMA-th of it: [N, numbers].

    Norms are those of small pictures: an orthonormal change of colours, then averages scaled to keep their share.
    """
    luminance, *colour = torch.einsum("kc,nchw->knhw", _axes(images), small_pictures(images, side))
    coarse = F.avg_pool2d(torch.stack(colour, 1), CHROMA) * CHROMA
    return torch.cat([luminance.flatten(1), coarse.flatten(1)], 1)


def from_planes(planes: Tensor, side: int) -> Tensor:
    """Pictures [N, 3, side, side] from the output of `to_planes`; colour is enlarged smoothly."""
    luminance, coarse = planes[:, : side**2], planes[:, side**2 :]
    coarse = coarse.unflatten(1, (2, side // CHROMA, side // CHROMA)) / CHROMA
    together = torch.cat([luminance.unflatten(1, (1, side, side)), enlarged(coarse, side)], 1)
    return torch.einsum("kc,nkhw->nchw", _axes(planes), together)


def numbers_of_planes(side: int) -> int:
    """Length of the vectors that `to_planes` returns."""
    return side**2 + 2 * (side // CHROMA) ** 2


def to_blocks(pictures: Tensor, grid: int) -> Tensor:
    """[N, C, size, size] → grid × grid blocks, row by row: [N, grid², numbers of a block]."""
    return F.pixel_unshuffle(pictures, pictures.shape[-1] // grid).flatten(2).mT


def from_blocks(blocks: Tensor, grid: int) -> Tensor:
    """The inverse of `to_blocks`, for pictures of three colours."""
    return F.pixel_shuffle(blocks.mT.unflatten(2, (grid, grid)), math.isqrt(blocks.shape[2] // 3))


def mirror_pairs(side: int) -> tuple[Tensor, Tensor]:
    """Indices into planes, two tensors [numbers / 2]: those of the left half, and the mirror image of each."""
    places = torch.arange(numbers_of_planes(side))
    luminance = places[: side**2].unflatten(0, (side, side))
    colour = places[side**2 :].unflatten(0, (2, side // CHROMA, side // CHROMA))
    left, right = (
        torch.cat([plane[..., : plane.shape[-1] // 2].flatten() for plane in planes])
        for planes in ((luminance, colour), (luminance.flip(-1), colour.flip(-1)))
    )
    return left, right


def emphasis(side: int) -> Tensor:
    """Weight of each number of planes, [numbers], with root mean square 1: larger in the face than around it.

    Recognisers and landmark detectors look only at the face, and people mostly do.
    """
    down, across = (
        ((torch.arange(side) + 0.5) / side - centre).div(extent).square()
        for centre, extent in zip(CENTRE, EXTENT, strict=True)
    )
    bell = (-(down[:, None] + across) / 2).exp()
    luminance = SURROUNDINGS + (1 - SURROUNDINGS) * bell
    weights = F.pad(luminance.flatten(), (0, numbers_of_planes(side) - side**2), value=COLOUR)
    return weights / weights.square().mean().sqrt()


def _axes(like: Tensor) -> Tensor:
    """[3, 3], orthonormal: RGB → grey, red against blue, green against both."""
    return F.normalize(like.new_tensor([[1, 1, 1], [1, 0, -1], [1, -2, 1]]), dim=1)
