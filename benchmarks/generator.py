"""Speed-up of hsc's synthesis over a straightforward generator in float32: StyleGAN2 with one kernel per image, or
MobileStyleGAN (`--mobile`) operation by operation.

    python benchmarks/generator.py [--mobile] [--backward] [--sizes 64 128 256] [--runs 5] [--cases bf16x8 …]

`--backward` times forward and backward. The first line also gives the peak memory of the first picture at the first
size, in float32, above the memory in use before. Both paths synthesise the same images from the same random weights
(512 channels at most) in alternation, so that other load on the machine affects both. Prints, for each size and case,
the median ratio of images per second over the runs with its range. Timings are the same for random and trained weights:
no operation depends on the values.
"""

import argparse
import math
import os
import resource
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hsc.nets.generator import Generator
from hsc.nets.mobile_stylegan import CHANNELS as MOBILE_CHANNELS
from hsc.nets.mobile_stylegan import ImageHead, MobileStyleGAN, StyledImageHead
from hsc.nets.mobile_stylegan import StyledConv as MobileConv
from hsc.nets.stylegan2 import StyledConv, StyleGAN2, ToRGB, resampling_kernel

CHANNELS = {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64, 1024: 32}


class Case(NamedTuple):
    batch: int
    dtype: torch.dtype


CASES = {
    "bf16x8": Case(8, torch.bfloat16),
    "bf16x1": Case(1, torch.bfloat16),
    "float32x8": Case(8, torch.float32),
    "float32x1": Case(1, torch.float32),
}


def plain_synthesis(generator: StyleGAN2, ws: Tensor) -> Tensor:
    """W+ [N, rows, w_dim] → images, as the reference implementation without its CUDA kernels computes them."""
    network = generator.synthesis_network
    x = network.b4.const.expand(len(ws), -1, -1, -1).contiguous()
    x = plain_convolution(network.b4.conv1, x, ws[:, 0])
    image = plain_to_rgb(network.b4.torgb, x, ws[:, 1])
    for row, resolution in enumerate(network.resolutions[1:]):
        block = getattr(network, f"b{resolution}")
        x = plain_convolution(block.conv0, x, ws[:, 2 * row + 1])
        x = plain_convolution(block.conv1, x, ws[:, 2 * row + 2])
        image = plain_upsample(image) + plain_to_rgb(block.torgb, x, ws[:, 2 * row + 3])
    return image


def plain_convolution(layer: StyledConv, x: Tensor, w: Tensor) -> Tensor:
    """Kernels scaled by each image's style and brought to unit norm, applied by one grouped convolution."""
    kernels = layer.weight[None] * layer.affine(w)[:, None, :, None, None]
    kernels = kernels * (kernels.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    n, outputs, inputs = kernels.shape[:3]
    x = x.reshape(1, n * inputs, *x.shape[2:])
    if layer.up:
        kernels = kernels.transpose(1, 2).reshape(n * inputs, outputs, 3, 3)
        x = F.conv_transpose2d(x, kernels, stride=2, groups=n)
        x = low_pass(F.pad(x.reshape(n, outputs, *x.shape[2:]), (1, 1, 1, 1)))
    else:
        x = F.conv2d(x, kernels.reshape(n * outputs, inputs, 3, 3), padding=1, groups=n)
        x = x.reshape(n, outputs, *x.shape[2:])
    x = x + layer.noise_const * layer.noise_strength
    return F.leaky_relu(x + layer.bias[:, None, None], 0.2) * math.sqrt(2)


def plain_to_rgb(layer: ToRGB, x: Tensor, w: Tensor) -> Tensor:
    kernels = layer.weight[None] * (layer.affine(w) * layer.weight_gain)[:, None, :, None, None]
    n, outputs, inputs = kernels.shape[:3]
    x = x.reshape(1, n * inputs, *x.shape[2:])
    x = F.conv2d(x, kernels.reshape(n * outputs, inputs, 1, 1), groups=n)
    return x.reshape(n, outputs, *x.shape[2:]) + layer.bias[:, None, None]


def plain_upsample(image: Tensor) -> Tensor:
    """Insert zeros between the pixels, then apply the low-pass filter."""
    n, channels, height, width = image.shape
    spread = image.new_zeros(n, channels, 2 * height, 2 * width)
    spread[:, :, ::2, ::2] = image
    return low_pass(F.pad(spread, (2, 1, 2, 1)))


def low_pass(x: Tensor) -> Tensor:
    channels = x.shape[1]
    return F.conv2d(x, (4 * resampling_kernel()).expand(channels, 1, 4, 4), groups=channels)


def plain_mobile_synthesis(generator: MobileStyleGAN, ws: Tensor) -> Tensor:
    """W+ → images, operation by operation as the network is defined."""
    network = generator.synthesis_network
    x = plain_mobile_convolution(network.conv1, network.const.expand(len(ws), -1, -1, -1), ws[:, 0])
    for k, layer in enumerate(network.layers):
        first, second = ws[:, 1 + 2 * k], ws[:, 2 + 2 * k]
        x = plain_inverse_haar(x * layer.up_affine(first)[:, :, None, None])
        x = plain_mobile_convolution(layer.conv2, plain_mobile_convolution(layer.conv1, x, first), second)
    rest = ws[:, 1 + 2 * len(network.layers) :].flatten(1)
    return plain_inverse_haar(plain_mobile_head(network.heads[str(generator.size)], x, rest))


def plain_mobile_convolution(layer: MobileConv, x: Tensor, w: Tensor) -> Tensor:
    x = x * layer.affine(w)[:, :, None, None]
    if layer.depthwise is not None:
        x = F.conv2d(x, layer.depthwise, padding=1, groups=x.shape[1])
    x = F.conv2d(x, layer.weight * layer.weight_gain, padding=layer.weight.shape[-1] // 2)
    return F.leaky_relu(x + layer.noise + layer.bias[:, None, None], 0.2)


def plain_mobile_head(head: ImageHead | StyledImageHead, x: Tensor, w: Tensor) -> Tensor:
    scales, inputs = head.affine(w)[:, :, None, None], x.shape[1]
    if isinstance(head, ImageHead):
        return F.conv2d(x * scales, head.weight * head.weight_gain, head.bias)
    hidden = head.pointwise.shape[0]
    direct, deep, last = scales.split([inputs, inputs, hidden], 1)
    y = F.conv2d(x * deep, head.depthwise, padding=1, groups=inputs)
    y = F.leaky_relu(F.conv2d(y, head.pointwise * inputs**-0.5, head.pointwise_bias), 0.2)
    return F.conv2d(y * last, head.weight * hidden**-0.5, head.bias) + F.conv2d(x * direct, head.skip * inputs**-0.5)


def plain_inverse_haar(x: Tensor) -> Tensor:
    average, rows, columns, both = x.chunk(4, 1)
    upper = torch.stack([average + rows + columns + both, average + rows - columns - both], -1)
    lower = torch.stack([average - rows + columns - both, average - rows - columns + both], -1)
    return torch.stack([upper, lower], -3).flatten(4, 5).flatten(2, 3) / 2


def plain(generator: Generator, ws: Tensor) -> Tensor:
    is_mobile = isinstance(generator, MobileStyleGAN)
    return plain_mobile_synthesis(generator, ws) if is_mobile else plain_synthesis(generator, ws)


def fast_synthesis(generator: Generator, ws: Tensor, dtype: torch.dtype) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        return generator.synthesis(ws)


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compare(generator: Generator, case: Case, runs: int, backward: bool = False) -> list[tuple[float, float]]:
    """Seconds of the plain and the fast path for each run, after one warm-up of each."""
    ws = generator.mapping(torch.randn(case.batch, generator.z_dim, generator=torch.Generator().manual_seed(1)))
    ws = ws.detach()
    exact = plain(generator, ws).detach()
    fast = fast_synthesis(generator, ws, torch.float32)
    if not torch.allclose(fast, exact, atol=1e-3 * float(exact.abs().max()), rtol=0):
        raise SystemExit("the fast path draws other images than the plain one")
    fast_synthesis(generator, ws, case.dtype)

    def timed(draw: Callable[[], Tensor]) -> float:
        return seconds(lambda: draw().float().square().mean().backward()) if backward else seconds(draw)

    return [
        (timed(lambda: plain(generator, ws)), timed(lambda: fast_synthesis(generator, ws, case.dtype)))
        for _ in range(runs)
    ]


def peak_megabytes(generator: Generator) -> float:
    """Increase of the process's peak memory caused by synthesising one picture."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    generator.synthesis(generator.mapping(torch.zeros(1, generator.z_dim)))
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def random_generator(size: int, mobile: bool = False) -> Generator:
    torch.manual_seed(0)
    if mobile:
        return MobileStyleGAN([width for k, width in enumerate(MOBILE_CHANNELS) if 8 * 2**k <= size]).eval()
    generator = StyleGAN2([width for resolution, width in CHANNELS.items() if resolution <= size]).eval()
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            torch.nn.init.constant_(parameter, 0.1)
    return generator


def machine() -> str:
    """Conditions of the timings: cores, load, and whether the processor multiplies bf16 matrices in hardware."""
    capability = torch.backends.cpu.get_cpu_capability()
    amx = "AMX" if torch.cpu._is_amx_tile_supported() else "no AMX"
    load = os.getloadavg()[0]
    return f"{torch.get_num_threads()} threads, {capability}, {amx}, load {load:.1f}, torch {torch.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256], choices=list(CHANNELS)[1:])
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--mobile", action="store_true", help="MobileStyleGAN in place of StyleGAN2")
    parser.add_argument("--backward", action="store_true", help="forward and backward")
    arguments = parser.parse_args()
    with torch.inference_mode():
        peak = peak_megabytes(random_generator(arguments.sizes[0], arguments.mobile))
    print(f"{machine()}, peak of the first picture {peak:.0f} MB")
    for size in arguments.sizes:
        generator = random_generator(size, arguments.mobile)
        for name in arguments.cases:
            case = CASES[name]
            with torch.inference_mode(not arguments.backward):
                times = compare(generator, case, arguments.runs, arguments.backward)
            ratios = [plain / fast for plain, fast in times]
            rates = [case.batch / statistics.median(column) for column in zip(*times, strict=True)]
            print(
                f"{size:4}² {name:10} plain {rates[0]:6.2f} images/s   hsc {rates[1]:6.2f} images/s   "
                f"ratio {statistics.median(ratios):5.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
