"""Differentiable augmentation of a discriminator's inputs.

`augment` is adaptive (Karras et al., NeurIPS 2020): one geometric and one colour transform. `diff_augment` is for
projected discriminators.

Every transform is applied to each image with probability p; real and generated images are augmented alike, so the leak
into the generator is bounded as long as p stays below about 0.8.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from hsc.modules.batch_slice import WHOLE_BATCH, BatchSlice

LUMA = 1 / math.sqrt(3)  # each component of the unit vector along the grey axis


def augment(images: Tensor, p: Tensor, random: torch.Generator, batch_slice: BatchSlice = WHOLE_BATCH) -> Tensor:
    """[N, 3, H, W] in about [-1, 1] → the same shape; p [] in [0, 1] is the probability of each transform.

    `batch_slice`: which images of the step's batch these are; random numbers are drawn for all of them.
    """
    with torch.autocast(images.device.type, enabled=False):
        images, device = images.float(), images.device
        n = len(images) * batch_slice.stride

        def uniform() -> Tensor:
            return batch_slice.of(torch.rand(n, generator=random, device=device))

        def drawn(sample: Tensor) -> Tensor:
            """`sample` with probability p, else 0."""
            return torch.where(uniform() < p, sample, torch.zeros_like(sample))

        def normal(deviation: float) -> Tensor:
            return drawn(batch_slice.of(torch.randn(n, generator=random, device=device)) * deviation)

        # Geometry: mirror, translation, rotation, isotropic and anisotropic scaling.
        mirror = 1 - 2 * drawn((uniform() < 0.5).float())
        scale = torch.exp2(normal(0.2))
        stretch = torch.exp2(normal(0.2))
        angle = drawn((uniform() * 2 - 1) * math.pi) * 0.25
        shift_x, shift_y = normal(0.125), normal(0.125)
        cos, sin = angle.cos(), angle.sin()
        theta = torch.stack(
            [
                torch.stack([mirror * cos * scale * stretch, -sin * scale / stretch, shift_x], 1),
                torch.stack([mirror * sin * scale * stretch, cos * scale / stretch, shift_y], 1),
            ],
            1,
        )
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        images = F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)

        # Colour: brightness, contrast, luma flip, hue about the grey axis, saturation: a 3×3 matrix and an offset.
        grey = torch.full((3,), LUMA, device=device)
        onto_grey = torch.outer(grey, grey)
        identity = torch.eye(3, device=device)
        flip = drawn((uniform() < 0.5).float())[:, None, None]
        matrix = identity - 2 * onto_grey * flip
        hue = drawn((uniform() * 2 - 1) * math.pi)
        matrix = _rotation(grey, hue) @ matrix
        saturation = torch.exp2(normal(1.0))[:, None, None]
        matrix = (onto_grey + (identity - onto_grey) * saturation) @ matrix
        matrix = matrix * torch.exp2(normal(0.5))[:, None, None]
        brightness = normal(0.2)[:, None, None]
        flat = torch.baddbmm(brightness, matrix, images.flatten(2))
        return flat.view_as(images)


def diff_augment(images: Tensor, random: torch.Generator, batch_slice: BatchSlice = WHOLE_BATCH) -> Tensor:
    """DiffAugment (Zhao et al., NeurIPS 2020): colours, translation and a cut-out square, drawn for each image.

    [N, 3, H, W] → the same shape; `batch_slice` as in `augment`.
    """
    with torch.autocast(images.device.type, enabled=False):
        images, device = images.float(), images.device
        n, side = len(images), images.shape[-1]

        def uniform(low: float, high: float) -> Tensor:
            drawn = batch_slice.of(torch.rand(n * batch_slice.stride, generator=random, device=device))
            return (low + (high - low) * drawn)[:, None, None, None]

        images = images + uniform(-0.5, 0.5)
        grey = images.mean(1, keepdim=True)
        images = grey + (images - grey) * uniform(0, 2)
        middle = images.mean((1, 2, 3), keepdim=True)
        images = middle + (images - middle) * uniform(0.5, 1.5)
        # Whole pixels, so that nothing is blurred; outside the picture is grey.
        shift_x, shift_y = ((uniform(-1, 1) * (side / 8)).round().flatten() * 2 / side for _ in range(2))
        theta = torch.eye(2, 3, device=device).repeat(n, 1, 1)
        theta = torch.cat([theta[:, :, :2], torch.stack([shift_x, shift_y], 1)[:, :, None]], 2)
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        images = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        place = torch.arange(side, device=device)
        rows, columns = ((place - (uniform(0, side)[:, 0, 0])).abs() < side / 4 for _ in range(2))  # [N, side]
        return images * ~(rows[:, :, None] & columns[:, None, :])[:, None]


def _rotation(axis: Tensor, angle: Tensor) -> Tensor:
    """Rodrigues' rotation matrices [N, 3, 3] about a unit axis [3] by angles [N]."""
    x, y, z = axis
    zero = torch.zeros_like(x)
    cross = torch.stack([torch.stack([zero, -z, y]), torch.stack([z, zero, -x]), torch.stack([-y, x, zero])])
    sin, cos = angle.sin()[:, None, None], angle.cos()[:, None, None]
    return torch.eye(3, device=axis.device) + sin * cross + (1 - cos) * (cross @ cross)
