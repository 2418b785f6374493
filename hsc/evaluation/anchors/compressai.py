"""Published learned codecs via CompressAI, if that package and its weights are installed.

Images are coded in RGB. CompressAI defines networks and byte strings but no file format, so the file here is minimal:
each string preceded by its length, and the size of the hyperlatents.
"""

import struct
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from hsc.evaluation.anchors.base import Anchor, AnchorNotAvailable

MULTIPLE = 64  # the networks halve the resolution six times
_SHAPE, _LENGTH = struct.Struct(">BB"), struct.Struct(">H")


class CompressAIAnchor(Anchor):
    """The network `name` of `compressai.zoo`, optimised for mean squared error. Runs on the CPU."""

    scale = range(1, 9)
    qualities = (1, 2, 3, 4)  # even the first spends more bytes on a small face than hsc ever does

    def __init__(self) -> None:
        self.settings = "mse"

    def version(self) -> str:
        if find_spec("compressai") is None:
            raise AnchorNotAvailable(
                f"{self.name} is not available: pip install --no-deps compressai==1.2.8, and what it then asks for"
            )
        import compressai

        import hsc.compat  # noqa: F401, makes torchvision importable for what follows

        _network(self.name, self.scale[0])
        return f"compressai {compressai.__version__}"

    def encode(self, image: np.ndarray, quality: int) -> bytes:
        import torch

        height, width, _ = image.shape
        padded = np.pad(image, ((0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0)), "edge")
        with torch.inference_mode():
            pixels = torch.from_numpy(padded).permute(2, 0, 1)[None] / 255
            coded = _network(self.name, quality).compress(pixels)
        strings = [_LENGTH.pack(len(string)) + string for (string,) in coded["strings"]]
        return bytes([quality]) + _SHAPE.pack(*coded["shape"]) + b"".join(strings)

    def decode(self, file: bytes, shape: tuple[int, int]) -> np.ndarray:
        import torch

        strings, shape_of_hyperlatents = [[string] for string in _strings(file)], _SHAPE.unpack_from(file, 1)
        with torch.inference_mode():
            decoded = _network(self.name, file[0]).decompress(strings, torch.Size(shape_of_hyperlatents))
        pixels: np.ndarray = (decoded["x_hat"][0] * 255).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
        return pixels[: shape[0], : shape[1]]

    def slice_bytes(self, file: bytes) -> int:
        return sum(map(len, _strings(file)))


def _strings(file: bytes) -> Iterator[bytes]:
    position = 1 + _SHAPE.size
    while position < len(file):
        (length,) = _LENGTH.unpack_from(file, position)
        position += _LENGTH.size + length
        yield file[position - length : position]


class Hyperprior(CompressAIAnchor):
    """Ballé et al. 2018, scale hyperprior."""

    name = "bmshj2018-hyperprior"


class MeanScaleHyperprior(CompressAIAnchor):
    """Minnen et al. 2018, mean-scale hyperprior without autoregression."""

    name = "mbt2018-mean"


@cache
def _network(name: str, quality: int) -> Any:
    from urllib.error import URLError

    from compressai.zoo import image_models

    try:
        network = image_models[name](quality=quality, metric="mse", pretrained=True).eval()
    except URLError as error:
        raise AnchorNotAvailable(
            f"{name} is not available: its weights cannot be downloaded here ({error.reason}); put them into "
            "~/.cache/torch/hub/checkpoints"
        ) from error
    network.update()
    return network
