"""Still-picture formats via Pillow and its plugins, each with the colour conversion of its own library."""

import functools
import importlib
import importlib.metadata
import io
from typing import Any

import numpy as np
from PIL import Image, features

from hsc.evaluation.anchors.base import Anchor, AnchorNotAvailable
from hsc.evaluation.anchors.streams import media_data_bytes
from hsc.images import encoded


class PillowAnchor(Anchor):
    """A format Pillow can save. `library` names the coding library (for built-in formats, Pillow's feature name)."""

    format: str
    library: str

    def __init__(self) -> None:
        one, other = (self.parameters(quality) for quality in (self.qualities[0], self.qualities[-1]))
        fixed = [f"{name}={value}" for name, value in one.items() if other[name] == value]
        self.settings = " ".join([self.format, *fixed])

    def parameters(self, quality: int) -> dict[str, Any]:
        """Arguments of `Image.save`."""
        return {"quality": quality}

    def version(self) -> str:
        if not features.check(self.library):
            raise AnchorNotAvailable(
                f"{self.name} is not available: this Pillow lacks {self.library}; pip install -U pillow"
            )
        return f"Pillow {importlib.metadata.version('pillow')}, {self.library} {features.version(self.library)}"

    def encode(self, image: np.ndarray, quality: int) -> bytes:
        return encoded(Image.fromarray(image), self.format, **self.parameters(quality))

    def decode(self, file: bytes, shape: tuple[int, int]) -> np.ndarray:
        with Image.open(io.BytesIO(file)) as image:
            return np.array(image.convert("RGB")).reshape(*shape, 3)


class PluginAnchor(PillowAnchor):
    """A format that a plugin package adds to Pillow. `library` is its distribution, `module` the module to import."""

    module: str

    def version(self) -> str:
        """Every anchor's version is requested first, so the plugin is imported here."""
        _import_plugin(self.name, self.library, self.module)
        return f"{self.library} {importlib.metadata.version(self.library)}"


class JPEG(PillowAnchor):
    """Baseline JPEG by libjpeg-turbo with optimised Huffman tables; BT.601 full range, 4:2:0 (JFIF)."""

    name, format, library = "jpeg", "JPEG", "jpg"
    scale = range(1, 96)
    qualities = (1, 5, 10, 15, 20, 30, 40)

    def parameters(self, quality: int) -> dict[str, Any]:
        return {"quality": quality, "optimize": True}


class WebP(PillowAnchor):
    """Lossy WebP by libwebp, slowest method; BT.601 limited range, 4:2:0."""

    name, format, library = "webp", "WEBP", "webp"
    scale = range(101)
    qualities = (0, 2, 5, 10, 20, 35, 50, 75)

    def parameters(self, quality: int) -> dict[str, Any]:
        return {"quality": quality, "method": 6}


class AVIF(PillowAnchor):
    """AV1 in an AVIF container by libavif and libaom, slowest speed; BT.601 full range, 4:2:0, 8 bit."""

    name, format, library = "avif", "AVIF", "avif"
    scale = range(101)
    qualities = (0, 10, 20, 35, 50, 70)

    def parameters(self, quality: int) -> dict[str, Any]:
        return {"quality": quality, "speed": 0, "subsampling": "4:2:0", "codec": "aom"}

    def slice_bytes(self, file: bytes) -> int:
        return media_data_bytes(file)


class JPEG2000(PillowAnchor):
    """JPEG 2000 by OpenJPEG: a bare codestream, irreversible 9/7 wavelet. Quality is the target compression ratio."""

    name, format, library = "jpeg2000", "JPEG2000", "jpg_2000"
    scale = range(400, 0, -1)
    qualities = (400, 200, 130, 90, 60, 40, 25)

    def parameters(self, quality: int) -> dict[str, Any]:
        return {"quality_mode": "rates", "quality_layers": [quality], "irreversible": True, "no_jp2": True}


class JPEGXL(PluginAnchor):
    """JPEG XL by libjxl (VarDCT in XYB), effort 9."""

    name, format, library, module = "jxl", "JXL", "pillow-jxl-plugin", "pillow_jxl"
    scale = range(101)
    qualities = (0, 2, 5, 10, 20, 35, 50, 75)

    def parameters(self, quality: int) -> dict[str, Any]:
        return {"quality": quality, "effort": 9}


class HEIC(PluginAnchor):
    """H.265 in a HEIC container by libheif and x265, with pillow-heif's settings: BT.601 full range, 4:2:0, 8 bit."""

    name, format, library, module = "heic", "HEIF", "pillow-heif", "pillow_heif"
    scale = range(101)
    qualities = (0, 10, 20, 30, 40, 50)

    def slice_bytes(self, file: bytes) -> int:
        return media_data_bytes(file)


@functools.cache
def _import_plugin(name: str, library: str, module: str) -> None:
    try:
        plugin = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise AnchorNotAvailable(f"{name} is not available: it needs {library}, pip install 'hsc[anchors]'") from error
    if hasattr(plugin, "register_heif_opener"):
        plugin.register_heif_opener()
