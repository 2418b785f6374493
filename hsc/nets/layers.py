"""Small pieces shared by the networks."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FullyConnected(nn.Module):
    """Linear layer with equalised learning rate (StyleGAN2): weights are stored at unit variance, scaled when used.

    `learning_rate` multiplies the effective rate of this layer; `activation`: "linear" or "lrelu" (slope 0.2, gain √2).
    """

    def __init__(
        self, inputs: int, outputs: int, activation: str = "linear", learning_rate: float = 1.0, bias: float = 0.0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / learning_rate)
        self.bias = nn.Parameter(torch.full((outputs,), float(bias)))
        self.activation = activation
        self.weight_gain = learning_rate / math.sqrt(inputs)
        self.bias_gain = learning_rate

    def forward(self, x: Tensor) -> Tensor:  # [..., inputs] → [..., outputs]
        x = F.linear(x * self.weight_gain, self.weight, self.bias * self.bias_gain)
        return leaky_relu(x) if self.activation == "lrelu" else x


def leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2 that keeps the second moment (gain √2)."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def pointwise(x: Tensor, kernels: Tensor) -> Tensor:
    """1×1 convolution with kernels for each image: [N, inputs, H, W], [N, outputs, inputs] → [N, outputs, H, W].

    With channels_last inputs nothing is copied.
    """
    return (x.flatten(2).mT @ kernels.mT).unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)


def he_conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    """Convolution with "same" padding, He initialisation for leaky ReLU 0.2 and zero bias.

    The initialisation matters: with PyTorch's default the features of a plain encoder shrink until its latents are
    constants.
    """
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
    nn.init.kaiming_normal_(conv.weight, a=0.2)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv
