"""StyleGAN2 as its paper describes it, with one kernel per image and the tensor names of rosinality's checkpoints.

A slow and simple reference for hsc's generator and its exports.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PlainGenerator(nn.Module):
    """Loads a rosinality `g_ema` strictly; `forward(ws [N, rows, w_dim])` gives images."""

    def __init__(self, channels: list[int], w_dim: int, depth: int) -> None:
        super().__init__()
        self.style = nn.Sequential(Normalise(), *(Equalised(w_dim, w_dim, 0.01, nonlinear=True) for _ in range(depth)))
        self.input = nn.Module()
        self.input.input = nn.Parameter(torch.randn(1, channels[0], 4, 4))
        self.conv1 = Styled(channels[0], channels[0], w_dim)
        self.to_rgb1 = ToRGB(channels[0], w_dim, upsample=False)
        self.convs = nn.ModuleList()
        self.to_rgbs = nn.ModuleList()
        self.noises = nn.Module()
        self.noises.register_buffer("noise_0", torch.randn(1, 1, 4, 4))
        for k in range(1, len(channels)):
            self.convs.append(Styled(channels[k - 1], channels[k], w_dim, upsample=True))
            self.convs.append(Styled(channels[k], channels[k], w_dim))
            self.to_rgbs.append(ToRGB(channels[k], w_dim, upsample=True))
            for i in (2 * k - 1, 2 * k):
                self.noises.register_buffer(f"noise_{i}", torch.randn(1, 1, 4 * 2**k, 4 * 2**k))

    def forward(self, ws: Tensor) -> Tensor:
        noises = [getattr(self.noises, f"noise_{i}") for i in range(1 + len(self.convs))]
        x = self.conv1(self.input.input.repeat(len(ws), 1, 1, 1), ws[:, 0], noises[0])
        image = self.to_rgb1(x, ws[:, 1], None)
        for k, to_rgb in enumerate(self.to_rgbs):
            x = self.convs[2 * k](x, ws[:, 2 * k + 1], noises[2 * k + 1])
            x = self.convs[2 * k + 1](x, ws[:, 2 * k + 2], noises[2 * k + 2])
            image = to_rgb(x, ws[:, 2 * k + 3], image)
        return image


class Normalise(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()


class Equalised(nn.Module):
    """Linear layer whose weights are scaled by 1/√inputs in the forward pass."""

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0, nonlinear: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.randn(outputs) / rate)
        self.rate, self.nonlinear = rate, nonlinear

    def forward(self, x: Tensor) -> Tensor:
        x = x @ self.weight.T * (self.rate / math.sqrt(self.weight.shape[1])) + self.bias * self.rate
        return rectified(x) if self.nonlinear else x


class Modulated(nn.Module):
    """Convolution whose kernel is scaled by each image's style and, with `demodulate`, normalised to unit norm."""

    def __init__(self, inputs: int, outputs: int, width: int, w_dim: int, upsample: bool, demodulate: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, width, width))
        self.modulation = Equalised(w_dim, inputs)
        self.demodulate = demodulate
        if upsample:
            self.blur = kernel_holder()

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        n, (_, outputs, inputs, width, _) = len(x), self.weight.shape
        kernels = self.weight / math.sqrt(inputs * width**2) * self.modulation(w)[:, None, :, None, None]
        if self.demodulate:
            kernels = kernels / (kernels.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
        if hasattr(self, "blur"):
            x = F.pad(zeros_between(x), (width - 1, width - 2) * 2)
            kernels = kernels.flip(3, 4)
        grouped = F.conv2d(
            x.reshape(1, n * inputs, *x.shape[2:]),
            kernels.reshape(n * outputs, inputs, width, width),
            padding=0 if hasattr(self, "blur") else width // 2,
            groups=n,
        )
        x = grouped.reshape(n, outputs, *grouped.shape[2:])
        return filtered(x, self.blur.kernel, 1) if hasattr(self, "blur") else x


class Styled(nn.Module):
    def __init__(self, inputs: int, outputs: int, w_dim: int, upsample: bool = False) -> None:
        super().__init__()
        self.conv = Modulated(inputs, outputs, 3, w_dim, upsample, demodulate=True)
        self.noise = nn.Module()
        self.noise.weight = nn.Parameter(torch.randn(1))
        self.activate = nn.Module()
        self.activate.bias = nn.Parameter(torch.randn(outputs))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        return rectified(self.conv(x, w) + noise * self.noise.weight + self.activate.bias[:, None, None])


class ToRGB(nn.Module):
    def __init__(self, inputs: int, w_dim: int, upsample: bool) -> None:
        super().__init__()
        self.conv = Modulated(inputs, 3, 1, w_dim, upsample=False, demodulate=False)
        self.bias = nn.Parameter(torch.randn(1, 3, 1, 1))
        if upsample:
            self.upsample = kernel_holder()

    def forward(self, x: Tensor, w: Tensor, image: Tensor | None) -> Tensor:
        rgb = self.conv(x, w) + self.bias
        return rgb if image is None else rgb + filtered(zeros_between(image), self.upsample.kernel, 2, 1)


def kernel_holder() -> nn.Module:
    holder = nn.Module()
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    holder.register_buffer("kernel", torch.outer(taps, taps) / 16)
    return holder


def zeros_between(x: Tensor) -> Tensor:
    """[N, C, H, W] → [N, C, 2H, 2W], with a zero after every value in both directions."""
    n, c, h, w = x.shape
    spread = x.new_zeros(n, c, 2 * h, 2 * w)
    spread[:, :, ::2, ::2] = x
    return spread


def filtered(x: Tensor, kernel: Tensor, before: int, after: int | None = None) -> Tensor:
    """x padded with zeros before and after, each channel convolved with the kernel."""
    after = before if after is None else after
    x = F.pad(x, (before, after, before, after))
    return F.conv2d(x, kernel.expand(x.shape[1], 1, 4, 4), groups=x.shape[1])


def rectified(x: Tensor) -> Tensor:
    return torch.where(x < 0, 0.2 * x, x) * math.sqrt(2)
