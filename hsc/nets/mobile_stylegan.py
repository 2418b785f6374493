"""MobileStyleGAN (Belousov 2021, arXiv 2104.04767): a StyleGAN2 distilled to depthwise-separable convolutions.

```
const 4² ─conv1─▶ 4² ─layer 0─▶ 8² ─layer 1─▶ 16² ─ … ─▶ size/2 ─image head─▶ image of size
```
A layer multiplies its input by a style, doubles its resolution by the inverse Haar transform (four channels of a pixel
become one channel of four pixels), and convolves twice; an image head ends in the inverse Haar transform of 12
channels. Styles scale the input of a convolution; there is no demodulation. Noise is constant.

The rows of W+ are those of 1024² at every size: row 0 belongs to conv1, 1 + 2k to layer k's doubling and first
convolution, 2 + 2k to its second, 15 to the image head. A smaller generator has fewer layers, and an image head that
depends on all rows of those left out, since they carry colour and texture. So one W+ gives the same face at every size.

The channels of the Haar transform are grouped by band: all averages first, then all horizontal, vertical and diagonal
differences. Under autocast, features and kernels have its precision; styles and image keep their own.
"""

import itertools
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsc.config.schema import MOBILE_STYLEGAN_OWN_LAYERS as OWN_LAYERS
from hsc.config.schema import MOBILE_STYLEGAN_ROWS as NUM_ROWS
from hsc.nets.generator import Generator, Mapping, precisions
from hsc.nets.layers import FullyConnected, pointwise

CHANNELS = (512, 512, 512, 512, 512, 256, 128, 64)  # of the FFHQ generator at 1024², from 4² to 512²
_HEAD_WIDTH, _HEAD_RANK = 256, 128

Injection = dict[int, tuple[Tensor, Tensor]]


class MobileStyleGAN(Generator):
    """mapping: z [N, z_dim] → W+ [N, 16, w_dim];  synthesis: W+ → images [N, 3, size, size].

    `channels`: of the features from 4² up to half the size; 5 entries give 128², 8 give 1024². All but the last are
    multiples of 4. `full`: the same for a larger size that the generator makes as well; it shares all but the last
    OWN_LAYERS layers of the smaller size and has its own after these. Empty: there is no full size.
    """

    synthesis_network: "MobileSynthesis"

    def __init__(
        self,
        channels: Sequence[int] = CHANNELS,
        z_dim: int = 512,
        w_dim: int = 512,
        mapping_layers: int = 8,
        full: Sequence[int] = (),
    ) -> None:
        mapping = Mapping(z_dim, w_dim, mapping_layers)
        synthesis = MobileSynthesis(channels, w_dim, full)
        super().__init__(mapping, synthesis, synthesis.size, NUM_ROWS)
        self.full_size = synthesis.full_size

    def synthesis(self, ws: Tensor, full: bool = False, inject: Injection | None = None) -> Tensor:
        """W+ [N, 16, w_dim] → images [N, 3, size, size], or at the full size.

        `inject`: by side of the features, (scale, shift) with which their first channels become features ·
        (1 + scale) + shift; each [N, those channels, side, side] or broadcastable to it.
        """
        if full and not self.full_size:
            raise ValueError("this MobileStyleGAN has no larger size")
        return self.synthesis_network(ws, inject, full)

    @torch.no_grad()
    def take_full_size(self, larger: "MobileStyleGAN") -> None:
        """Copy the layers of the full size that the smaller size does not share from a generator of that size.

        Raises RuntimeError or KeyError if its widths differ.
        """
        own, given = self.synthesis_network, larger.synthesis_network
        shared = len(own.layers) - OWN_LAYERS
        own.full_layers.load_state_dict(given.layers[shared:].state_dict())
        own.heads[str(self.full_size)].load_state_dict(given.heads[str(self.full_size)].state_dict())


class MobileSynthesis(nn.Module):
    """Features from 4² up, and one image head per size; the larger size has layers of its own (`full_layers`)."""

    def __init__(self, channels: Sequence[int], w_dim: int, full: Sequence[int] = ()) -> None:
        super().__init__()
        if not 2 <= len(channels) <= NUM_ROWS // 2:
            raise ValueError(f"{len(channels)} widths; {NUM_ROWS} rows of W+ serve 2 to {NUM_ROWS // 2}")
        self.size, self.full_size = size_of(channels), size_of(full) if full else 0
        self.const = nn.Parameter(torch.randn(channels[0], 4, 4))
        self.conv1 = StyledConv(channels[0], channels[0], w_dim, 4, separable=False)
        self.layers = nn.ModuleList(_layers(channels, w_dim))
        self.heads = nn.ModuleDict({str(self.size): _image_head(channels, w_dim)})
        if full:
            shared = len(channels) - OWN_LAYERS
            if self.full_size <= self.size or list(full[:shared]) != list(channels[:shared]):
                raise ValueError(f"widths {list(full)} of the full size do not begin as {list(channels[:shared])}")
            self.full_layers = nn.ModuleList(_layers(full, w_dim)[shared - 1 :])
            self.heads[str(self.full_size)] = _image_head(full, w_dim)

    def forward(self, ws: Tensor, inject: Injection | None = None, full: bool = False) -> Tensor:
        *_, features = self.features(ws, inject, full)
        return self.image(features, ws)

    def features(self, ws: Tensor, inject: Injection | None = None, full: bool = False) -> Iterator[Tensor]:
        """W+ → features [N, channels, side, side] of 8², 16², … up to half the size, each computed on demand."""
        own, dtype = precisions(self)
        ws = ws.to(own)
        x = self.const.to(dtype).expand(len(ws), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        x = self.conv1(x, ws[:, 0])
        layers = [*self.layers[:-OWN_LAYERS], *self.full_layers] if full else self.layers
        for k, layer in enumerate(layers):
            x = layer(x, ws[:, 1 + 2 * k], ws[:, 2 + 2 * k])
            if inject and x.shape[-1] in inject:
                scale, shift = inject[x.shape[-1]]
                chosen, rest = x.tensor_split([scale.shape[1]], 1)
                x = torch.cat([torch.addcmul(chosen + shift.to(dtype), chosen, scale.to(dtype)), rest], 1)
            yield x

    def image(self, features: Tensor, ws: Tensor) -> Tensor:
        """Features at half the size of an image → the image, by the head of its size."""
        side = features.shape[-1]
        own, _ = precisions(self)
        bands = self.heads[str(2 * side)](features, ws[:, _rows_seen(side) :].flatten(1).to(own))
        return inverse_haar(bands.to(own))


def size_of(channels: Sequence[int]) -> int:
    """Side of the images that a generator with features of these widths makes."""
    return 4 * 2 ** len(channels)


def _layers(channels: Sequence[int], w_dim: int) -> list["Layer"]:
    return [Layer(inputs, outputs, w_dim, 8 * 2**k) for k, (inputs, outputs) in enumerate(itertools.pairwise(channels))]


def _image_head(channels: Sequence[int], w_dim: int) -> nn.Module:
    rows = NUM_ROWS - _rows_seen(size_of(channels) // 2)
    return ImageHead(channels[-1], w_dim) if rows == 1 else StyledImageHead(channels[-1], rows * w_dim)


def _rows_seen(side: int) -> int:
    """Number of rows of W+ that features of this side depend on."""
    return 2 * (side // 4).bit_length() - 1


class Layer(nn.Module):
    """Inverse Haar transform and two convolutions: [N, inputs, side/2, side/2] → [N, outputs, side, side]."""

    def __init__(self, inputs: int, outputs: int, w_dim: int, side: int) -> None:
        super().__init__()
        self.up_affine = FullyConnected(w_dim, inputs, bias=1)
        self.conv1 = StyledConv(inputs // 4, outputs, w_dim, side)
        self.conv2 = StyledConv(outputs, outputs, w_dim, side)

    def forward(self, x: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """x [N, inputs, side/2, side/2] and its two rows of W+, [N, w_dim] each."""
        x = inverse_haar(x * styles(self.up_affine, first)[:, :, None, None].to(x.dtype))
        return self.conv2(self.conv1(x, first), second)


class StyledConv(nn.Module):
    """Input times style, convolution, noise, bias, leaky ReLU. `separable`: depthwise 3×3, then 1×1."""

    def __init__(self, inputs: int, outputs: int, w_dim: int, side: int, separable: bool = True) -> None:
        super().__init__()
        self.affine = FullyConnected(w_dim, inputs, bias=1)
        self.depthwise = nn.Parameter(torch.randn(inputs, 1, 3, 3) / 3) if separable else None
        kernel = 1 if separable else 3
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.weight_gain = 1 / (kernel * inputs**0.5)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("noise", torch.zeros(side, side))
        self.noise: Tensor

    def forward(self, x: Tensor, w: Tensor) -> Tensor:  # [N, inputs, side, side], [N, w_dim]
        scales = styles(self.affine, w) * self.weight_gain
        shape, dtype = x.shape, x.dtype
        if self.depthwise is None:
            x = F.conv2d(x * scales[:, :, None, None].to(dtype), self.weight.to(dtype), padding=1).flatten(2).mT
        else:
            # A depthwise convolution commutes with the styles, which are folded into the kernels of the next one.
            x = F.conv2d(x, self.depthwise.to(dtype), padding=1, groups=shape[1]).flatten(2).mT
            x = x @ (self.weight.flatten(1) * scales[:, None]).to(dtype).mT
        # In place: at high resolutions a CPU spends longer on allocating memory than on arithmetic.
        x = x.add_(self.noise.flatten()[:, None].to(dtype)).add_(self.bias.to(dtype))  # [N, side², outputs]
        x = F.leaky_relu_(x, 0.2)
        return x.unflatten(1, shape[2:]).permute(0, 3, 1, 2)


class ImageHead(nn.Module):
    """Features times style, 1×1 convolution to 12 channels."""

    def __init__(self, inputs: int, w_dim: int) -> None:
        super().__init__()
        self.affine = FullyConnected(w_dim, inputs, bias=1)
        self.weight = nn.Parameter(torch.randn(12, inputs, 1, 1))
        self.weight_gain = inputs**-0.5
        self.bias = nn.Parameter(torch.zeros(12))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:  # [N, inputs, side, side], [N, w_dim]
        kernels = self.weight.flatten(1) * (styles(self.affine, w) * self.weight_gain)[:, None]
        return pointwise(x, kernels.to(x.dtype)) + self.bias[:, None, None].to(x.dtype)


class StyledImageHead(nn.Module):
    """A separable convolution and a 1×1 one to 12 channels, in parallel with a linear path; styles scale both.

    The styles, initially 1, are a low-rank function of all rows of W+ that the features do not depend on.
    """

    def __init__(self, inputs: int, w_numbers: int) -> None:
        super().__init__()
        affine = FullyConnected(_HEAD_RANK, 2 * inputs + _HEAD_WIDTH, bias=1)
        nn.init.zeros_(affine.weight)
        self.affine = nn.Sequential(FullyConnected(w_numbers, _HEAD_RANK), affine)
        self.depthwise = nn.Parameter(torch.randn(inputs, 1, 3, 3) / 3)
        self.pointwise = nn.Parameter(torch.randn(_HEAD_WIDTH, inputs, 1, 1))
        self.pointwise_bias = nn.Parameter(torch.zeros(_HEAD_WIDTH))
        self.weight = nn.Parameter(torch.randn(12, _HEAD_WIDTH, 1, 1))
        self.skip = nn.Parameter(torch.randn(12, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(12))

    def forward(self, x: Tensor, ws: Tensor) -> Tensor:  # [N, inputs, side, side], [N, w_numbers]
        inputs, dtype = x.shape[1], x.dtype
        direct, deep, last = styles(self.affine, ws).split([inputs, inputs, _HEAD_WIDTH], 1)

        def kernels(weight: Tensor, scales: Tensor) -> Tensor:
            return (weight.flatten(1) * (scales * weight.shape[1] ** -0.5)[:, None]).to(dtype)

        hidden = F.conv2d(x, self.depthwise.to(dtype), padding=1, groups=inputs)
        hidden = pointwise(hidden, kernels(self.pointwise, deep)) + self.pointwise_bias[:, None, None].to(dtype)
        bands = pointwise(F.leaky_relu_(hidden, 0.2), kernels(self.weight, last))
        return bands + pointwise(x, kernels(self.skip, direct)) + self.bias[:, None, None].to(dtype)


def styles(affine: nn.Module, w: Tensor) -> Tensor:
    """Channel scales from rows of W+: [N, w_dim] → [N, channels], in the precision of w."""
    with torch.autocast(w.device.type, enabled=False):
        return affine(w)


def inverse_haar(x: Tensor) -> Tensor:
    """Bands [N, 4·C, H, W] (average, difference of rows, of columns, of both; C channels each) → [N, C, 2H, 2W]."""
    return _InverseHaar.apply(x)


class _InverseHaar(torch.autograd.Function):
    """Two butterflies in channels_last order, the second of which writes the pixels to their final places."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        n, bands, height, width = x.shape
        pixels = x.permute(0, 2, 3, 1).reshape(n, height, width, 2, 2, bands // 4)  # difference of columns, of rows
        sums, differences = pixels[..., 0, :] + pixels[..., 1, :], pixels[..., 0, :] - pixels[..., 1, :]
        out = x.new_empty(n, height, 2, width, 2, bands // 4)
        for row, half in enumerate((sums.div_(2), differences.div_(2))):
            torch.add(half[..., 0, :], half[..., 1, :], out=out[:, :, row, :, 0])
            torch.sub(half[..., 0, :], half[..., 1, :], out=out[:, :, row, :, 1])
        return out.view(n, 2 * height, 2 * width, bands // 4).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return _Haar.apply(gradient)


class _Haar(torch.autograd.Function):
    """The forward transform, which is the inverse's gradient: pixels [N, C, 2H, 2W] → bands [N, 4·C, H, W]."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        pixels = x.permute(0, 2, 3, 1).reshape(n, height // 2, 2, width // 2, 2, channels)
        sums, differences = pixels[:, :, 0] + pixels[:, :, 1], pixels[:, :, 0] - pixels[:, :, 1]
        out = x.new_empty(n, height // 2, width // 2, 2, 2, channels)
        for row, half in enumerate((sums.div_(2), differences.div_(2))):
            torch.add(half[:, :, :, 0], half[:, :, :, 1], out=out[:, :, :, 0, row])
            torch.sub(half[:, :, :, 0], half[:, :, :, 1], out=out[:, :, :, 1, row])
        return out.view(n, height // 2, width // 2, 4 * channels).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return _InverseHaar.apply(gradient)
