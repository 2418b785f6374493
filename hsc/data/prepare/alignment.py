"""The crop of a face, by the recipe with which FFHQ and CelebA-HQ were made.

Source of the recipe's constants: Karras et al., Progressive Growing of GANs (ICLR 2018), appendix C, and NVIDIA's
published description of FFHQ. A StyleGAN prior was trained on faces aligned like this: other alignments cost bits.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)  # right and left of the person
MOUTH_CORNERS = (48, 54)
EYES_TO_SIDE, MOUTH_TO_SIDE = 4.0, 3.6  # the square's side in distances between the eyes, and from eyes to mouth
DOWN_TO_MOUTH = 0.1  # fraction of the way from the eyes to the mouth at which the square is centred

MARGIN = 0.1  # around the square, as a fraction of its side, for the support of filters
FADING = 0.3  # minimum width of the synthesised border, as a fraction of the side
BLUR = 0.02  # standard deviation of the border's Gaussian blur, as a fraction of the side
NEAR_EDGE = 4  # pixels: a square this near to the photograph's edge gets a synthesised border


def recipe_corners(landmarks: np.ndarray) -> np.ndarray:
    """68 landmarks → corners [4, 2] of the face's square: top left, bottom left, bottom right, top right as displayed.

    Pixel coordinates are those of the landmarks.
    """
    right_eye, left_eye = landmarks[RIGHT_EYE].mean(0), landmarks[LEFT_EYE].mean(0)
    eyes, mouth = (right_eye + left_eye) / 2, landmarks[list(MOUTH_CORNERS)].mean(0)
    across, down = left_eye - right_eye, mouth - eyes
    # The square's horizontal: the mean of the eyes' line and of the perpendicular to the face's axis.
    horizontal = across + np.array([down[1], -down[0]])
    side = max(EYES_TO_SIDE * np.hypot(*across), MOUTH_TO_SIDE * np.hypot(*down))
    half = horizontal / np.hypot(*horizontal) * side / 2
    turned = np.array([-half[1], half[0]])
    middle = eyes + DOWN_TO_MOUTH * down
    return np.stack([middle - half - turned, middle - half + turned, middle + half + turned, middle + half - turned])


def side_of(corners: np.ndarray) -> float:
    """Length of the square's side, pixels."""
    return float(np.hypot(*(corners[3] - corners[0])))


def cut_out(image: Image.Image, corners: np.ndarray, size: int) -> Image.Image:
    """The square of an RGB image as size × size pixels, antialiased.

    Beyond its edges the photograph is mirrored, and increasingly blurred and faded to its median colour.
    """
    square = corners + 0.5  # from pixel indices to distances from the image's corner
    pixels, square = _near(image, square)
    if (shrink := int(side_of(square) / size / 2)) > 1:
        pixels, square = _by_channel(pixels, lambda channel: channel.reduce(shrink)), square / shrink
    pixels, square = _with_surroundings(pixels, square)
    # Bicubic sampling reads 4×4 pixels: enough samples are drawn to skip none, and averaged afterwards.
    drawn = size * min(4, max(1, int(np.ceil(side_of(square) / size))))
    across, down, origin = (square[3] - square[0]) / drawn, (square[1] - square[0]) / drawn, square[0]
    rows = (across[0], down[0], origin[0], across[1], down[1], origin[1])

    def draw(channel: Image.Image) -> Image.Image:
        crop = channel.transform((drawn, drawn), Image.Transform.AFFINE, rows, Image.Resampling.BICUBIC)
        return crop if drawn == size else crop.resize((size, size), Image.Resampling.LANCZOS)

    return Image.fromarray(_by_channel(pixels, draw).round().clip(0, 255).astype(np.uint8))


def _by_channel(pixels: np.ndarray, change: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    """Let Pillow change float32 [H, W, 3], channel by channel: bytes would be rounded, with a bias, at every step."""
    channels = (Image.fromarray(np.ascontiguousarray(pixels[..., number])) for number in range(3))
    return np.stack([np.asarray(change(channel)) for channel in channels], axis=-1)


def _near(image: Image.Image, square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of the image around the square, float32 [H, W, 3]."""
    margin = _margin(square)
    first = np.maximum(np.floor(square.min(0)) - margin, 0).astype(int)
    last = np.minimum(np.ceil(square.max(0)) + margin, image.size).astype(int)
    return np.asarray(image.crop((*first.tolist(), *last.tolist())), np.float32), square - first


def _margin(square: np.ndarray) -> int:
    return max(round(MARGIN * side_of(square)), 3)


def _with_surroundings(pixels: np.ndarray, square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pixels, with a synthesised border where the square extends beyond them."""
    margin, side = _margin(square), side_of(square)
    before = np.ceil(np.maximum(margin - square.min(0), 0)).astype(int)
    after = np.ceil(np.maximum(square.max(0) + margin - pixels.shape[1::-1], 0)).astype(int)
    if max(*before, *after) <= margin - NEAR_EDGE:
        return pixels, square
    before, after = (np.maximum(widths, round(FADING * side)) for widths in (before, after))
    pixels = np.pad(pixels, ((before[1], after[1]), (before[0], after[0]), (0, 0)), mode="reflect")
    depth = _depth(pixels.shape[:2], before[::-1], after[::-1])[..., None]
    blurred = gaussian_filter(pixels, (BLUR * side, BLUR * side, 0))
    # Blurring begins inside the photograph, so that there is no seam.
    pixels += (blurred - pixels) * np.clip(3 * depth + 1, 0, 1)
    pixels += (np.median(pixels, axis=(0, 1)) - pixels) * np.clip(depth, 0, 1)
    return pixels, square + before


def _depth(shape: tuple[int, ...], before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Depth of each pixel in the border, [H, W]: 0 at the photograph's edge, 1 outermost, below 0 inside."""
    along = []
    for length, first, last in zip(shape, before, after, strict=True):
        place = np.arange(length, dtype=np.float32)
        along.append(1 - np.minimum(place / first, (length - 1 - place) / last))
    return np.maximum(along[0][:, None], along[1][None, :])
