"""Adaptive discriminator augmentation (Karras et al., NeurIPS 2020): differentiable, one geometric and one colour map.

Every transform is drawn for each image with probability p; real and generated images are augmented alike, so what leaks
into the generator is bounded as long as p stays below about 0.8. The controller raises p when the discriminator
recognises its training images too well.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (1 / math.sqrt(3),) * 3


def augment(images: Tensor, p: float, random: torch.Generator) -> Tensor:
    """[N, 3, H, W] in about [-1, 1] → the same shape; p in [0, 1] is the probability of each transform."""
    if p <= 0:
        return images
    with torch.autocast(images.device.type, enabled=False):
        return _augment(images.float(), p, random)


def _augment(images: Tensor, p: float, random: torch.Generator) -> Tensor:
    n, device = len(images), images.device

    def drawn(sample: Tensor) -> Tensor:
        """`sample` where the coin falls, else 0."""
        coin = torch.rand(n, generator=random, device=device) < p
        return torch.where(coin, sample, torch.zeros_like(sample))

    def normal(deviation: float) -> Tensor:
        return drawn(torch.randn(n, generator=random, device=device) * deviation)

    # Geometry: mirror, translation, rotation, isotropic and anisotropic scaling.
    mirror = 1 - 2 * drawn(torch.randint(2, (n,), generator=random, device=device).float())
    scale = torch.exp2(normal(0.2))
    stretch = torch.exp2(normal(0.2))
    angle = drawn((torch.rand(n, generator=random, device=device) * 2 - 1) * math.pi) * 0.25
    shift_x, shift_y = normal(0.125), normal(0.125)
    cos, sin = angle.cos(), angle.sin()
    theta = torch.stack(
        [
            torch.stack([mirror * cos * scale * stretch, -sin * scale, shift_x], 1),
            torch.stack([mirror * sin * scale * stretch, cos * scale / stretch, shift_y], 1),
        ],
        1,
    )
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)

    # Colour: brightness, contrast, luma flip, hue rotation about the grey axis, saturation: a 3×3 matrix and an offset.
    grey = torch.tensor(LUMA, device=device)
    onto_grey = torch.outer(grey, grey)
    identity = torch.eye(3, device=device)
    flip = drawn(torch.randint(2, (n,), generator=random, device=device).float())[:, None, None]
    matrix = identity - 2 * onto_grey * flip
    hue = drawn((torch.rand(n, generator=random, device=device) * 2 - 1) * math.pi)
    matrix = _rotation(grey, hue) @ matrix
    saturation = torch.exp2(normal(1.0))[:, None, None]
    matrix = (onto_grey + (identity - onto_grey) * saturation) @ matrix
    matrix = matrix * torch.exp2(normal(0.5))[:, None, None]
    brightness = normal(0.2)[:, None, None]
    flat = torch.baddbmm(brightness, matrix, images.flatten(2))
    return flat.view_as(images)


def _rotation(axis: Tensor, angle: Tensor) -> Tensor:
    """Rodrigues' rotation matrices [N, 3, 3] about a unit axis [3] by angles [N]."""
    x, y, z = axis
    zero = torch.zeros_like(x)
    cross = torch.stack([torch.stack([zero, -z, y]), torch.stack([z, zero, -x]), torch.stack([-y, x, zero])])
    sin, cos = angle.sin()[:, None, None], angle.cos()[:, None, None]
    return torch.eye(3, device=axis.device) + sin * cross + (1 - cos) * (cross @ cross)


class AugmentationController:
    """Moves p so that the mean sign of the discriminator's output on real images stays at `target`.

    `kimg`: thousands of images in which p can go from 0 to 1. State is one number: it lives in a buffer of the module.
    """

    def __init__(self, target: float, kimg: float) -> None:
        self.target, self.kimg = target, kimg

    def update(self, p: Tensor, mean_sign: float, images: int) -> None:
        """Change p [] in place after `images` more images with this mean sign."""
        if self.target > 0:
            step = images / (self.kimg * 1000)
            p.add_(math.copysign(step, mean_sign - self.target)).clamp_(0, 1)
