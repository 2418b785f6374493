"""StyleGAN2 (Karras et al., CVPR 2020), skip architecture, in plain PyTorch: no custom kernels.

Parameter names follow stylegan2-ada-pytorch's `G_ema`, so that its checkpoints load by name. Three things differ:

- Modulated convolution scales the input by the style, convolves once with the shared kernel and scales the output by
  the demodulation factor: the same result as one kernel per image, and several times faster.
- Noise is constant: a decoder must be a function of the file.
- The 4×4 input may be `const + affine(first row of W+)` instead of `const`: on small sets a constant that only styles
  modulate is slow to learn the layout of faces. Imported checkpoints use "const".

Under autocast only the features and the kernels of the 3×3 convolutions have its precision.
"""

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsc.nets.generator import Generator, Mapping, precisions
from hsc.nets.layers import FullyConnected, pointwise

RESAMPLE = (1.0, 3.0, 3.0, 1.0)


class StyleGAN2(Generator):
    """mapping: z [N, z_dim] → W+ [N, rows, w_dim];  synthesis: W+ → images [N, 3, size, size].

    `channels`: per resolution, from 4² up; its length sets the size (5 entries: 64²). Rows: 2·log2(size) − 2.
    """

    synthesis_network: "Synthesis"

    def __init__(
        self,
        channels: Sequence[int],
        z_dim: int = 512,
        w_dim: int = 512,
        mapping_layers: int = 8,
        input: str = "const",
    ) -> None:
        mapping = Mapping(z_dim, w_dim, mapping_layers)
        synthesis = Synthesis(channels, w_dim, input)
        super().__init__(mapping, synthesis, synthesis.size, synthesis.num_rows)

    def synthesis(self, ws: Tensor, full: bool = False) -> Tensor:
        """W+ [N, rows, w_dim] → images [N, 3, size, size]."""
        if full:
            raise ValueError("a StyleGAN2 has one size")
        return self.synthesis_network(ws)


class Synthesis(nn.Module):
    """Blocks b4, b8, …; each block's RGB is added to the upsampled RGB of the blocks before it."""

    def __init__(self, channels: Sequence[int], w_dim: int, input: str) -> None:
        super().__init__()
        self.resolutions = [4 * 2**i for i in range(len(channels))]
        self.size = self.resolutions[-1]
        self.num_rows = 2 * len(channels)
        previous = 0
        for resolution, width in zip(self.resolutions, channels, strict=True):
            self.add_module(f"b{resolution}", Block(previous, width, w_dim, resolution, input))
            previous = width

    def forward(self, ws: Tensor) -> Tensor:
        # Autocast sets the precision of features and kernels; styles, demodulation and image keep their own.
        own, dtype = precisions(self)
        ws, x, image = ws.to(own), None, None
        with torch.autocast(ws.device.type, enabled=False):
            for i, resolution in enumerate(self.resolutions):
                # A block's last style (its toRGB's) is shared with the next block's first convolution.
                first = max(2 * i - 1, 0)
                x, image = getattr(self, f"b{resolution}")(x, image, ws[:, first : 2 * i + 2], dtype)
        assert image is not None
        return image


class Block(nn.Module):
    """One resolution: up-convolution (except at 4²), convolution, toRGB; takes one style for each."""

    def __init__(self, inputs: int, outputs: int, w_dim: int, resolution: int, input: str) -> None:
        super().__init__()
        self.input = input if inputs == 0 else "features"
        if self.input == "features":
            self.conv0 = StyledConv(inputs, outputs, w_dim, resolution, up=True)
        else:
            self.const = nn.Parameter(torch.randn(outputs, resolution, resolution))
            if self.input == "style":
                self.input_affine = FullyConnected(w_dim, outputs * resolution**2)
        self.conv1 = StyledConv(outputs, outputs, w_dim, resolution)
        self.torgb = ToRGB(outputs, w_dim)
        self.register_buffer("resample_filter", resampling_kernel())
        self.resample_filter: Tensor

    def forward(self, x: Tensor | None, image: Tensor | None, ws: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        styles = list(ws.unbind(1))
        x = self.first_features(styles[0], dtype) if x is None else self.conv0(x, styles.pop(0))
        x = self.conv1(x, styles[0])
        rgb = self.torgb(x, styles[1])
        return x, rgb if image is None else rgb + upsample(image, self.resample_filter)

    def first_features(self, w: Tensor, dtype: torch.dtype) -> Tensor:
        x = self.const.expand(len(w), -1, -1, -1)
        if self.input == "style":
            x = x + self.input_affine(w).view_as(x)
        return x.to(dtype).contiguous(memory_format=torch.channels_last)


class StyledConv(nn.Module):
    """Modulated, demodulated 3×3 convolution, noise, bias, leaky ReLU; `up` doubles the resolution first."""

    def __init__(self, inputs: int, outputs: int, w_dim: int, resolution: int, up: bool = False) -> None:
        super().__init__()
        self.up = up
        self.affine = FullyConnected(w_dim, inputs, bias=1)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3).contiguous(memory_format=torch.channels_last))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("resample_filter", resampling_kernel())
        self.noise_const: Tensor
        self.resample_filter: Tensor

    def forward(self, x: Tensor, w: Tensor) -> Tensor:  # [N, inputs, H, W], [N, w_dim]
        styles = self.affine(w)
        demodulation = (styles.square() @ self.weight.square().sum((2, 3)).t() + 1e-8).rsqrt()
        x = x * styles[:, :, None, None].to(x.dtype)
        weight = self.weight.to(x.dtype)
        if self.up:
            x = double(x, weight)
            x = depthwise(x, 4 * self.resample_filter, padding=1)
        else:
            x = F.conv2d(x, weight, padding=1)
        return self.activate(x, demodulation)

    def activate(self, x: Tensor, demodulation: Tensor) -> Tensor:
        """leaky_relu(x · demodulation + bias + noise) · √2, the gain moved inside.

        In place if no gradient needs x: at high resolutions a CPU spends longer allocating memory than on arithmetic.
        """
        gain = math.sqrt(2)
        scale = (gain * demodulation)[:, :, None, None].to(x.dtype)
        shift = (gain * self.bias)[:, None, None].to(x.dtype)
        x = torch.addcmul(shift, x, scale, out=None if torch.is_grad_enabled() else x)
        x.add_((gain * self.noise_strength * self.noise_const).to(x.dtype))
        return F.leaky_relu_(x, 0.2)


class ToRGB(nn.Module):
    """Modulated 1×1 convolution to RGB without demodulation."""

    def __init__(self, inputs: int, w_dim: int) -> None:
        super().__init__()
        self.affine = FullyConnected(w_dim, inputs, bias=1)
        self.weight = nn.Parameter(torch.randn(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.weight_gain = 1 / math.sqrt(inputs)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        styles = self.affine(w) * self.weight_gain
        kernels = (self.weight.flatten(1) * styles[:, None]).to(x.dtype)  # [N, 3, inputs]
        return pointwise(x, kernels).to(self.bias.dtype) + self.bias[:, None, None]


def resampling_kernel() -> Tensor:
    """The 4×4 low-pass filter [1, 3, 3, 1]⊗[1, 3, 3, 1], normalised to sum 1."""
    taps = torch.tensor(RESAMPLE)
    kernel = torch.outer(taps, taps)
    return kernel / kernel.sum()


def double(x: Tensor, weight: Tensor) -> Tensor:
    """Transposed convolution of stride 2: [N, inputs, H, W] and [outputs, inputs, 3, 3] → [N, outputs, 2H+1, 2W+1].

    Without a gradient and for few pixels, one matrix product is used: conv_transpose2d reorders its kernel in every
    call, which then takes longer than the arithmetic (512 channels, bf16, one picture: 4 to 12 times up to 32²).
    """
    pixels = x.shape[0] * x.shape[2] * x.shape[3]
    if torch.is_grad_enabled() or pixels > 2 * weight.shape[0]:
        return F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    n, _, height, width = x.shape
    taps = weight.permute(2, 3, 0, 1).reshape(-1, weight.shape[1])  # [9·outputs, inputs]
    products = (x.permute(0, 2, 3, 1) @ taps.t()).unflatten(3, (3, 3, len(weight)))
    out = x.new_zeros(n, height + 1, 2, width + 1, 2, len(weight))
    for row, column in itertools.product(range(3), repeat=2):
        (down, odd_row), (right, odd_column) = divmod(row, 2), divmod(column, 2)
        target = out[:, down : down + height, odd_row, right : right + width, odd_column]
        target += products[:, :, :, row, column]
    return out.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)[:, :, :-1, :-1]


def depthwise(x: Tensor, kernel: Tensor, padding: int = 0) -> Tensor:
    """Apply the same 2-D filter to every channel, with zero padding."""
    channels = x.shape[1]
    return F.conv2d(x, kernel.to(x.dtype).expand(channels, 1, -1, -1), padding=padding, groups=channels)


def upsample(image: Tensor, kernel: Tensor) -> Tensor:
    """[N, C, H, W] → [N, C, 2H, 2W] by zero insertion and the low-pass filter."""
    channels = image.shape[1]
    weight = (4 * kernel).to(image.dtype).expand(channels, 1, -1, -1)
    return F.conv_transpose2d(image, weight, stride=2, padding=1, groups=channels)
