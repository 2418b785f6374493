"""Images in files, PIL and tensors, and their conversion. In hsc, images are float32 [N, 3, H, W], RGB, in [-1, 1]."""

import io
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from hsc.errors import FileRefused, HscError

_HEIC_BRANDS = {b"hei", b"hev", b"mif", b"msf"}  # the first three letters, which the profiles share
# Pillow's warnings about unusual files are for programmers; users get HscErrors where it matters.
warnings.filterwarnings("ignore", module="PIL")

Picture = Image.Image | str | Path | np.ndarray | Tensor
PIXELS_AT_ONCE = 1 << 20  # total pixels of the pictures in one batch
BEYOND = 1e-3  # tolerance for values outside their range, due to rounding in low precision


def load_image(file: str | Path | BinaryIO, name: str | None = None) -> Image.Image:
    """Read an image as upright 8-bit RGB; see `to_rgb`. For an animated image, the first frame.

    Raises HscError naming `name` if it is broken, not an image or too large, FileRefused if it cannot be read at all.
    """
    name = name or os.fsencode(str(file)).decode(errors="replace")
    try:
        with (
            open(file, "rb") if isinstance(file, str | Path) else nullcontext(file) as stream,
            _open_image(stream if stream.seekable() else io.BytesIO(stream.read())) as image,
        ):
            return to_rgb(image)
    except FileNotFoundError as error:
        raise FileRefused(f"{name}: no such file") from error
    except UnidentifiedImageError as error:
        raise HscError(f"{name}: not an image that Pillow can read") from error
    except Image.DecompressionBombError as error:
        raise HscError(f"{name}: too large ({error}); scale it down") from error
    except HscError as error:
        raise HscError(f"{name}: {error}") from error
    except Exception as error:  # Pillow's plugins raise anything for damaged files; only the system sets errno
        if isinstance(error, OSError) and error.errno is not None:
            raise FileRefused(f"{name}: cannot be read ({error.strerror})") from error
        raise HscError(f"{name}: broken image ({error})") from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Any image as upright 8-bit RGB. Transparent pixels are blended with white, 16 bits are scaled to 8.

    Raises HscError for 32-bit values, whose white level is undefined.
    """
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM")):
        kind = "floats" if image.mode == "F" else "integers"
        raise HscError(f"32-bit {kind} have no defined white level; save it with 8 or 16 bits")
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):  # 16 bits, which Pillow would clip at 255
        return Image.fromarray((np.asarray(upright).clip(0, 65535) >> 8).astype(np.uint8)).convert("RGB")
    if upright.has_transparency_data:
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright.convert("RGBA"))
    return upright.convert("RGB")


def read_heic() -> bool:
    """Enable HEIC in Pillow if pillow-heif is installed; returns whether it is."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


def _open_image(stream: BinaryIO) -> Image.Image:
    """The image in a file, by its content regardless of its name. The HEIC reader is imported only if needed."""
    try:
        return Image.open(stream)
    except UnidentifiedImageError:
        stream.seek(0)
        if (start := stream.read(12))[4:8] != b"ftyp" or start[8:11] not in _HEIC_BRANDS:
            raise
        if not read_heic():
            raise HscError("a HEIC photograph: pip install pillow-heif") from None
        stream.seek(0)
        return Image.open(stream)


def to_tensor(image: Image.Image | np.ndarray) -> Tensor:
    """PIL RGB, or uint8 [H, W, 3] → float32 [3, H, W] in [-1, 1]."""
    return torch.from_numpy(np.array(image, dtype=np.float32)).permute(2, 0, 1).div_(127.5).sub_(1).contiguous()


def to_uint8(images: Tensor) -> np.ndarray:
    """[N, 3, H, W] in [-1, 1] → uint8 [N, H, W, 3], rounded and clamped."""
    scaled = images.detach().float().add(1).mul_(127.5).round_().clamp_(0, 255)  # one copy: pictures may be large
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def to_pil(image: Tensor) -> Image.Image:
    """[3, H, W] in [-1, 1] → PIL RGB."""
    return Image.fromarray(to_uint8(image[None])[0])


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """The picture as a file in this format, by Pillow's name; with options of its `save`."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def resize(images: Tensor, size: int | tuple[int, int]) -> Tensor:
    """Bicubic resize of [N, 3, H, W] to a side, or to (width, height), antialiased when downsampling; the same
    tensor if nothing changes.
    """
    width, height = (size, size) if isinstance(size, int) else size
    if images.shape[-2:] == (height, width):
        return images
    return F.interpolate(images, size=(height, width), mode="bicubic", antialias=True, align_corners=False)


def pictures_at_once(size: int) -> int:
    """Batch size for pictures of `size` × `size` pixels, which bounds memory by the number of pixels."""
    return max(1, PIXELS_AT_ONCE // size**2)


def to_tensors(
    pictures: Picture | Sequence[Picture], value_range: tuple[float, float] | None = None
) -> tuple[bool, Iterator[Tensor]]:
    """Pictures in any form → whether it is a single one, and the pictures one by one, [3, H, W] in [-1, 1].

    A picture is a PIL image, a path, a uint8 array [H, W, 3], or a tensor [3, H, W]: uint8, or floating-point in
    [-1, 1]. Several are a list of these, an array [N, H, W, 3] or a tensor [N, 3, H, W]. `value_range`: (black, white)
    of floating-point tensors if it is not (-1, 1). Paths are read lazily.

    Raises HscError for another type or shape, values outside their range or not finite, and, if no `value_range` is
    given, for floating-point pictures entirely within [0, 1], which might have that range.
    """
    if isinstance(pictures, np.ndarray | Tensor) and pictures.ndim == 4:
        if isinstance(pictures, Tensor):
            return False, iter(_from_tensor(pictures, value_range))
        return False, (_from_array(picture) for picture in pictures)
    if isinstance(pictures, Sequence) and not isinstance(pictures, str | bytes):
        return False, (_one_tensor(picture, value_range) for picture in pictures)
    return True, iter([_one_tensor(pictures, value_range)])


def _one_tensor(picture: Picture, value_range: tuple[float, float] | None) -> Tensor:
    if isinstance(picture, Image.Image):
        return to_tensor(to_rgb(picture))
    if isinstance(picture, str | Path):
        return to_tensor(load_image(picture))
    if isinstance(picture, np.ndarray):
        return _from_array(picture)
    if isinstance(picture, Tensor):
        if picture.ndim != 3:
            raise HscError(f"a tensor of shape {tuple(picture.shape)} is not an image: give [3, H, W] or [N, 3, H, W]")
        return _from_tensor(picture[None], value_range)[0]
    raise HscError(
        f"a {type(picture).__name__} is not an image: give a PIL image, a path, a uint8 array [H, W, 3] or a tensor "
        "[3, H, W]"
    )


def _from_array(picture: np.ndarray) -> Tensor:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[-1] != 3 or 0 in picture.shape:
        raise HscError(
            f"an array of {picture.dtype} {list(picture.shape)} is not an image: give uint8 [H, W, 3], or a tensor "
            "[3, H, W]"
        )
    return to_tensor(picture)


def _from_tensor(pictures: Tensor, value_range: tuple[float, float] | None) -> Tensor:
    """[N, 3, H, W] in [-1, 1]."""
    if pictures.shape[1] != 3 or 0 in pictures.shape[1:]:
        raise HscError(
            f"a tensor of shape {list(pictures.shape[1:])} is not an image: give the colour channels first, "
            "[3, H, W] or [N, 3, H, W]"
        )
    if pictures.dtype == torch.uint8:
        return pictures.float().div_(127.5).sub_(1)
    if not pictures.is_floating_point():
        raise HscError(f"a tensor of {pictures.dtype} is not an image: give uint8, or floats in [-1, 1]")
    if len(pictures) == 0:
        return pictures.float()
    low, high = (float(value) for value in torch.aminmax(pictures.detach()))
    black, white = value_range or (-1.0, 1.0)
    if not black - BEYOND <= low <= high <= white + BEYOND:  # also false for NaN
        raise HscError(
            f"a tensor with values from {low:.4g} to {high:.4g} is not an image in [{black:g}, {white:g}]: scale it, "
            "or say what it is in with value_range=(black, white)"
        )
    if value_range is None and low >= 0:
        raise HscError(
            "a floating-point tensor wholly within [0, 1] may be a picture in [0, 1] or a bright one in [-1, 1]: say "
            "which with value_range=(0, 1) or value_range=(-1, 1)"
        )
    pictures = pictures.float()
    return pictures if (black, white) == (-1.0, 1.0) else (pictures - black) * (2 / (white - black)) - 1
