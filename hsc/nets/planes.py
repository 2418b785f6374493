"""Small pictures as vectors, for linear maps: planes of luminance and colour."""

import torch
import torch.nn.functional as F
from torch import Tensor

from hsc.nets.stylegan2 import resampling_kernel, upsample

# Colour has a quarter of luminance's resolution in each direction: more is not visible at some hundred bytes per face.
CHROMA = 4

# Where an aligned face is in its picture, in sides of it: centre and standard deviation, down and across. Places count
# by a bell curve about it, far ones SURROUNDINGS times as much as its top, and colour everywhere COLOUR times.
CENTRE, EXTENT = (0.53, 0.5), (0.34, 0.28)
SURROUNDINGS, COLOUR = 0.3, 0.9


def small_pictures(images: Tensor, side: int) -> Tensor:
    """Means over squares of pixels: [N, 3, size, size] → [N, 3, side, side]; `side` divides size."""
    return F.avg_pool2d(images, images.shape[-1] // side)


def enlarged(pictures: Tensor, size: int) -> Tensor:
    """Pictures as the generator's output enlarges them: doubled until they have `size` pixels."""
    kernel = resampling_kernel().to(pictures.device)
    while pictures.shape[-1] < size:
        pictures = upsample(pictures, kernel)
    return pictures


def to_planes(images: Tensor, side: int) -> Tensor:
    """Images [N, 3, size, size] as luminance at `side` and two planes of colour at a CHROMA-th of it: [N, numbers].

    Lengths are those of small pictures: an orthonormal change of colours, then means scaled to keep their share.
    """
    luminance, *colour = torch.einsum("kc,nchw->knhw", _axes(images), small_pictures(images, side))
    coarse = F.avg_pool2d(torch.stack(colour, 1), CHROMA) * CHROMA
    return torch.cat([luminance.flatten(1), coarse.flatten(1)], 1)


def from_planes(planes: Tensor, side: int) -> Tensor:
    """Pictures [N, 3, side, side] of what `to_planes` gives; colour is enlarged smoothly."""
    luminance, coarse = planes[:, : side**2], planes[:, side**2 :]
    coarse = coarse.unflatten(1, (2, side // CHROMA, side // CHROMA)) / CHROMA
    together = torch.cat([luminance.unflatten(1, (1, side, side)), enlarged(coarse, side)], 1)
    return torch.einsum("kc,nkhw->nchw", _axes(planes), together)


def numbers_of_planes(side: int) -> int:
    """Numbers that `to_planes` makes of an image."""
    return side**2 + 2 * (side // CHROMA) ** 2


def mirror_pairs(side: int) -> tuple[Tensor, Tensor]:
    """Places in planes, [numbers / 2] twice: those on the left, and for each the one that a mirror shows there."""
    places = torch.arange(numbers_of_planes(side))
    luminance = places[: side**2].unflatten(0, (side, side))
    colour = places[side**2 :].unflatten(0, (2, side // CHROMA, side // CHROMA))
    left, right = (
        torch.cat([plane[..., : plane.shape[-1] // 2].flatten() for plane in planes])
        for planes in ((luminance, colour), (luminance.flip(-1), colour.flip(-1)))
    )
    return left, right


def emphasis(side: int) -> Tensor:
    """How much each number of planes counts, [numbers], root mean square 1: more in the face than around it.

    Recognisers and landmarks look at the face only, and people mostly.
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
