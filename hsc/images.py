"""Images between files, PIL and tensors. Everywhere in hsc images are float32 [N, 3, H, W], RGB, in [-1, 1]."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from hsc.errors import HscError


def load_image(file: str | Path | BinaryIO, name: str | None = None) -> Image.Image:
    """Read an image as upright 8-bit RGB. Raises HscError naming `name` when it is broken or no image."""
    name = name or str(file)
    try:
        with Image.open(file) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I;16"):  # which Pillow would clip at 255
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            elif upright.mode == "I":  # what Pillow makes of a PGM of 16 bits
                upright = Image.fromarray((np.asarray(upright).clip(0, 65535) >> 8).astype(np.uint8))
            return upright.convert("RGB")
    except FileNotFoundError as error:
        raise HscError(f"{name}: no such file") from error
    except UnidentifiedImageError as error:
        raise HscError(f"{name}: not an image that Pillow can read") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise HscError(f"{name}: broken image ({error})") from error


def to_tensor(image: Image.Image) -> Tensor:
    """PIL RGB → float32 [3, H, W] in [-1, 1]."""
    return torch.from_numpy(np.array(image, dtype=np.float32)).permute(2, 0, 1).div_(127.5).sub_(1).contiguous()


def to_uint8(images: Tensor) -> np.ndarray:
    """[N, 3, H, W] in [-1, 1] → uint8 [N, H, W, 3], rounded and clamped."""
    scaled = images.detach().float().add(1).mul(127.5).round().clamp(0, 255)
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def to_pil(image: Tensor) -> Image.Image:
    """[3, H, W] in [-1, 1] → PIL RGB."""
    return Image.fromarray(to_uint8(image[None])[0])


def resize(images: Tensor, size: int) -> Tensor:
    """Square bicubic resize of [N, 3, H, W], antialiased where it shrinks; the same tensor when nothing changes."""
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, size=(size, size), mode="bicubic", antialias=True, align_corners=False)
