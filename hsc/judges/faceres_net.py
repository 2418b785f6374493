"""The network of `faceres`, a MobileNet (Howard et al. 2017), and its weights read from a TensorFlow.js model."""

import numpy as np
import torch.nn.functional as F
from safetensors.numpy import save
from torch import Tensor, nn

from hsc.errors import HscError

# Output channels and stride of each block.
_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
_HEADS = 256 * 100 + 100 + 1024 * 256 + 256 + 256 + 1  # parameters of the age and gender heads, which come first


class _SameConv(nn.Conv2d):
    """3×3 with TensorFlow's "same" padding: at stride 2 and an even size one pixel on the right and at the bottom."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 1, 0, 1) if self.stride[0] == 2 else (1, 1, 1, 1)))


class FaceResNet(nn.Sequential):
    """[N, 3, S, S] in [0, 255] → [N, 1024], non-negative."""

    def __init__(self) -> None:
        layers: list[nn.Module] = [_SameConv(3, 32, 3, 2), nn.ReLU6()]
        width = 32
        for channels, stride in _BLOCKS:
            layers += [_SameConv(width, width, 3, stride, groups=width), nn.ReLU6()]
            layers += [nn.Conv2d(width, channels, 1), nn.ReLU6()]
            width = channels
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def from_tensorflow_js(content: bytes) -> bytes:
    """The float16 numbers of the TensorFlow.js model, in its file's order → safetensors of `FaceResNet`.

    Raises HscError if their number is not that of the network's parameters.
    """
    numbers = np.frombuffer(content[: len(content) // 2 * 2], np.float16)[_HEADS:].astype(np.float32)
    place = 0

    def take(*shape: int) -> np.ndarray:
        nonlocal place
        count = int(np.prod(shape))
        place += count
        return numbers[place - count : place].reshape(shape)

    tensors = {}

    def store(layer: int, kernel: np.ndarray, bias: np.ndarray) -> None:
        tensors[f"{layer}.weight"], tensors[f"{layer}.bias"] = np.ascontiguousarray(kernel), bias

    try:
        store(0, take(3, 3, 3, 32).transpose(3, 2, 0, 1), take(32))
        take(2)  # the limits of ReLU6, stored after every layer
        width = 32
        for block, (channels, _) in enumerate(_BLOCKS):
            depthwise, gain, bias = take(3, 3, width, 1), take(width), take(width)
            store(2 + 4 * block, depthwise.transpose(2, 3, 0, 1) * gain[:, None, None, None], bias)
            take(2)
            store(4 + 4 * block, take(1, 1, width, channels).transpose(3, 2, 0, 1), take(channels))
            take(2)
            width = channels
    except ValueError as error:
        raise HscError(f"not the weights of faceres ({error}): fetch them again") from error
    return save(tensors)
