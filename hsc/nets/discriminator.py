"""StyleGAN2's residual discriminator, in plain PyTorch."""

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsc.nets.layers import FullyConnected, leaky_relu
from hsc.nets.stylegan2 import depthwise, resampling_kernel


class Discriminator(nn.Module):
    """images [N, 3, size, size] → logits [N]. `channels`: per resolution from 4² to `size`, as in the generator."""

    def __init__(self, channels: Sequence[int], group_size: int = 4) -> None:
        super().__init__()
        widths = list(reversed(channels))
        self.from_rgb = EqualConv(3, widths[0], 1)
        self.blocks = nn.ModuleList(DownBlock(a, b) for a, b in itertools.pairwise(widths))
        self.group_size = group_size
        self.conv = EqualConv(widths[-1] + 1, widths[-1], 3)
        self.hidden = FullyConnected(widths[-1] * 16, widths[-1], "lrelu")
        self.out = FullyConnected(widths[-1], 1)

    def freeze_highest(self, blocks: int) -> None:
        """Freeze the first `blocks` blocks, from full size down (freeze-D, Mo et al. 2020).

        Early layers respond to edges and textures; these features transfer to new faces and cannot be relearned from
        a few images.
        """
        for part in (self.from_rgb, *self.blocks[:blocks]) if blocks else ():
            part.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        x = leaky_relu(self.from_rgb(images.contiguous(memory_format=torch.channels_last)))
        for block in self.blocks:
            x = block(x)
        # The statistics and the last layers need more than the 8 bits of bfloat16.
        with torch.autocast(x.device.type, enabled=False):
            x = append_batch_deviation(x.float(), self.group_size)
            x = leaky_relu(self.conv(x))
            return self.out(self.hidden(x.flatten(1))).squeeze(1)


def r1_penalty(discriminator: nn.Module, real: Tensor) -> Tensor:
    """R1 penalty (Mescheder et al. 2018): mean squared norm of the logits' gradient at real images. Computed in
    float32, since bfloat16 is too coarse for second derivatives.
    """
    real = real.detach().requires_grad_()
    with torch.autocast(real.device.type, enabled=False):
        (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


class DownBlock(nn.Module):
    """Convolution and blurred strided convolution, in parallel with a blurred strided 1×1 skip connection."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv0 = EqualConv(inputs, inputs, 3)
        self.conv1 = EqualConv(inputs, outputs, 3, stride=2, padding=0)
        self.skip = EqualConv(inputs, outputs, 1, stride=2, padding=0, bias=False)
        self.register_buffer("blur", resampling_kernel())
        self.blur: Tensor

    def forward(self, x: Tensor) -> Tensor:
        skip = self.skip(depthwise(F.pad(x, (1, 1, 1, 1)), self.blur))
        x = leaky_relu(self.conv0(x))
        x = leaky_relu(self.conv1(depthwise(F.pad(x, (2, 2, 2, 2)), self.blur)))
        return (x + skip) / math.sqrt(2)


class EqualConv(nn.Module):
    """Convolution with equalised learning rate."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int | None = None, bias: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(
            torch.randn(outputs, inputs, kernel, kernel).contiguous(memory_format=torch.channels_last)
        )
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.gain = 1 / math.sqrt(inputs * kernel**2)
        self.stride = stride
        self.padding = kernel // 2 if padding is None else padding

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.gain, self.bias, self.stride, self.padding)


def append_batch_deviation(x: Tensor, group_size: int) -> Tensor:
    """[N, C, H, W] → [N, C + 1, H, W]: appends the mean standard deviation within groups of images as a feature map.

    If the batch size is not a multiple of the group size, the largest smaller divisor is used.
    """
    n, _, height, width = x.shape
    size = next(s for s in range(min(group_size, n), 0, -1) if n % s == 0)
    groups = x.view(size, n // size, *x.shape[1:])
    deviation = (groups.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))  # [N / size]
    return torch.cat([x, deviation.repeat(size).view(n, 1, 1, 1).expand(-1, -1, height, width)], 1)
