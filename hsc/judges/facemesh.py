"""MediaPipe FaceMesh: 468 points of a face, differentiable; weights come with hsc (assets/judges/facemesh.md)."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from hsc.judges.aligned import crop, in_pixels
from hsc.judges.base import Judge

WEIGHTS = Path(__file__).parent.parent / "assets" / "judges" / "facemesh.safetensors"
POINTS = 468
INPUT_SIZE = 192

# The network's input square in an image with FFHQ's alignment (left, top, side; fractions of the image): the face with
# a margin of a quarter of its size. Of the boxes tried, it agrees best with dlib and with mirrored images.
FACE_BOX = (0.08, 0.16, 0.84)

# Output channels and stride of each block; the resolution goes 96 → 48 → 24 → 12 → 6 → 3.
_BLOCKS = (
    [(16, 1)] * 2
    + [(32, 2)] + [(32, 1)] * 2
    + [(64, 2)] + [(64, 1)] * 2
    + [(128, 2)] + [(128, 1)] * 2
    + [(128, 2)] + [(128, 1)] * 2
    + [(128, 2)] + [(128, 1)] * 2
)  # fmt: skip


def _pad_for_stride_two(x: Tensor) -> Tensor:
    """TensorFlow's "same" padding of a 3×3 kernel at stride 2 and an even size: one pixel at the right and bottom."""
    return F.pad(x, (0, 1, 0, 1))


class _FrozenPReLU(torch.autograd.Function):
    """PReLU without the gradient of its slope, which torch computes even if it is frozen."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return F.prelu(x, slope)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        x, slope = ctx.saved_tensors
        where_positive = torch.ops.aten.threshold_backward(gradient, x, 0)
        return torch.lerp(where_positive, gradient, slope[:, None, None]), None


class _PReLU(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return _FrozenPReLU.apply(x, self.weight)


class _Block(nn.Module):
    """Depthwise 3×3 and pointwise convolution, added to the input pooled and zero-padded to match."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.new_channels = channels - in_channels
        padding = 1 if stride == 1 else 0
        self.depthwise = nn.Conv2d(in_channels, in_channels, 3, stride, padding, groups=in_channels, bias=False)
        self.pointwise = nn.Conv2d(in_channels, channels, 1)
        self.activation = _PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x
        if self.stride == 2:
            shortcut = F.max_pool2d(x, 2)
            x = _pad_for_stride_two(x)
        if self.new_channels:
            shortcut = F.pad(shortcut, (0, 0, 0, 0, 0, self.new_channels))
        return self.activation(shortcut + self.pointwise(self.depthwise(x)))


class FaceMeshNet(nn.Module):
    """[N, 3, 192, 192] in [0, 1] → [N, 468, 3]: x, y in pixels of that input, z in the same unit."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2)
        self.stem_activation = _PReLU(16)
        in_channels = [16] + [channels for channels, _ in _BLOCKS]
        self.blocks = nn.Sequential(*(_Block(i, *block) for i, block in zip(in_channels, _BLOCKS, strict=False)))
        self.head = nn.Sequential(nn.Conv2d(128, 32, 1), _PReLU(32), _Block(32, 32, 1), nn.Conv2d(32, 3 * POINTS, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem_activation(self.stem(_pad_for_stride_two(x)))
        return self.head(self.blocks(x)).reshape(-1, POINTS, 3)


class FaceMesh(Judge):
    """Landmarker `facemesh`: 468 points of an aligned face, in pixels of the input.

    Runs in float32 even under autocast: bfloat16 moves points by more than good codecs do.
    Missing weights mean a broken installation and raise FileNotFoundError.
    """

    name = family = "facemesh"
    kind = "landmarker"
    outer_eye_corners = (33, 263)

    def __init__(self) -> None:
        super().__init__()
        self.net = FaceMeshNet()
        self.net.load_state_dict(load_file(WEIGHTS))
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.freeze()

    def forward(self, image: Tensor) -> Tensor:
        """[N, 3, S, S] in [-1, 1] → [N, 468, 2]."""
        left, top, side = place = in_pixels(FACE_BOX, image)
        with torch.autocast(image.device.type, enabled=False):
            face = crop(image, place, INPUT_SIZE)
            points = self.net((face.add(1) / 2).contiguous(memory_format=torch.channels_last))[..., :2]
            return points * (side / INPUT_SIZE) + points.new_tensor([left, top])
