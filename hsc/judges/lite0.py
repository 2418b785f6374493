"""EfficientNet-Lite0 (Tan and Le 2019) as frozen features for training; never used for evaluation."""

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsc.judges import weights

EPSILON = 1e-3  # of TensorFlow's batch normalisation
# Number of blocks in each group, kernel, stride of the first block, expansion, output channels.
GROUPS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
TAPS = (2, 4, 10, 15)  # the last blocks at 1/4, 1/8, 1/16 and 1/32 of the image's size
WIDTHS = (24, 40, 112, 320)
SMALLEST = 64  # pixels per side for which the coarsest scale is still informative
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Lite0(nn.Module):
    """images [N, 3, H, W] in [-1, 1] → features [N, WIDTHS[k], H / 2^(k+2), W / 2^(k+2)] of four scales.

    Raises NotAvailable without its weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _SameConv(3, 32, 3, stride=2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, EPSILON)
        blocks, inputs = [], 32
        for count, kernel, stride, expansion, outputs in GROUPS:
            for place in range(count):
                blocks.append(_Block(inputs, outputs, kernel, 1 if place else stride, expansion))
                inputs = outputs
        self._blocks = nn.ModuleList(blocks)
        held = torch.load(weights.locate("lite0"), map_location="cpu", weights_only=True)
        self.load_state_dict({name: held[name] for name in self.state_dict()})
        # Images in [-1, 1] to the network's training range, in one step.
        self.register_buffer("scale", 0.5 / torch.tensor(DEVIATION)[:, None, None])
        self.register_buffer(
            "shift", (0.5 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]
        )
        self.scale: Tensor
        self.shift: Tensor
        self.requires_grad_(False).eval()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing from torch's stubs

    def train(self, mode: bool = True) -> "Lite0":
        """Always stay in evaluation mode."""
        return super().train(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = torch.addcmul(self.shift, images, self.scale).contiguous(memory_format=torch.channels_last)
        x = F.relu6(self._bn0(self._conv_stem(x)))
        features = []
        for number, block in enumerate(self._blocks):
            x = block(x)
            if number in TAPS:
                features.append(x)
        return features


def lite0(images: Tensor) -> list[Tensor]:
    """Features of images from a shared network per device, which belongs to no module, and so to no checkpoint."""
    return _on(str(images.device))(images)


@cache
def _on(device: str) -> Lite0:
    return Lite0().to(device)


class _Block(nn.Module):
    """An inverted residual: expand, depthwise, project. Names are those of the published weights."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.expands, self.residual = expansion > 1, stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv = nn.Conv2d(inputs, width, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(width, EPSILON)
        self._depthwise_conv = _SameConv(width, width, kernel, stride, groups=width, bias=False)
        self._bn1 = nn.BatchNorm2d(width, EPSILON)
        self._project_conv = nn.Conv2d(width, outputs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outputs, EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.residual else y


class _SameConv(nn.Conv2d):
    """Padded as in TensorFlow: ⌈size / stride⌉ outputs, an odd pixel of padding goes to the bottom and the right."""

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        height, width = (max((math.ceil(side / stride) - 1) * stride + kernel - side, 0) for side in x.shape[-2:])
        x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return F.conv2d(x, self.weight, None, self.stride, 0, 1, self.groups)
