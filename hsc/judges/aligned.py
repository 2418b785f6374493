"""Fixed positions of facial features in images with FFHQ's alignment, for judges that do not detect the face.

With a fixed position every face can be measured, however badly it was decoded; whether a detector still finds it is a
separate metric.
"""

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from hsc.images import to_uint8

FRAME = 256  # side, in pixels, of the frame of all coordinates below

# Left, top, right, bottom of the face box of dlib's detector, and of insightface's (which includes the forehead).
DLIB_BOX = (46, 81, 201, 236)
INSIGHTFACE_BOX = (55, 66, 201, 238)

# Eyes, tip of the nose, corners of the mouth: means of dlib's landmarks over 1,000 FFHQ faces (standard deviations: 2,
# 10 and 5 pixels).
FIVE_POINTS = ((96.4, 121.6), (159.1, 121.6), (127.5, 155.7), (98.7, 186.7), (156.9, 186.5))


def frames(images: Tensor) -> np.ndarray:
    """[N, 3, S, S] in [-1, 1] → uint8 [N, 256, 256, 3] RGB, resized bilinearly (antialiased when downsampling)."""
    size = images.shape[-1]
    if size != FRAME:
        images = F.interpolate(images.float(), size=(FRAME, FRAME), mode="bilinear", antialias=size > FRAME)
    return np.ascontiguousarray(to_uint8(images))


def crop(images: Tensor, place: tuple[int, int, int], size: int) -> Tensor:
    """The square (left, top, side; pixels) of images [N, 3, S, S] → float32 [N, 3, size, size], resized bilinearly
    (antialiased when downsampling)."""
    left, top, side = place
    square = images.float()[..., top : top + side, left : left + side]
    return F.interpolate(square, size=(size, size), mode="bilinear", antialias=side > size)


def in_pixels(box: tuple[float, float, float], images: Tensor) -> tuple[int, int, int]:
    """A square (left, top, side) in fractions of the images' side → the same in whole pixels."""
    left, top, side = (round(fraction * images.shape[-1]) for fraction in box)
    return left, top, side


def to_image_pixels(points: np.ndarray, images: Tensor) -> Tensor:
    """Points [N, P, 2] as pixel indices of the frame → pixels of the images, with (0, 0) at the image's corner."""
    scale = images.shape[-1] / FRAME
    return images.new_tensor(points).add(0.5).mul(scale)
