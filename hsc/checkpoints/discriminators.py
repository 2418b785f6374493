"""StyleGAN2 discriminators stored beside generators in training checkpoints; fine-tuning continues with them.

Only NVlabs' snapshots and rosinality's training checkpoints hold one. hsc's file keeps it beside the generator, under
`discriminator.`, with the names of `hsc.nets.discriminator.Discriminator`.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from hsc.checkpoints.layouts import tensors_of, unwrapped, without_filters
from hsc.errors import HscError
from hsc.nets.discriminator import Discriminator
from hsc.nets.stylegan2 import resampling_kernel

INSIDE = "discriminator."  # prefix of its names in hsc's generator file


def find_discriminator(content: Any, name: str) -> dict[str, Tensor]:
    """The state of the discriminator in a file read by `hsc.checkpoints.safe_unpickle.read`; empty if there is none, or
    if it is not StyleGAN2's residual, unconditional one of the generator's size.
    """
    holder = content if isinstance(content, dict) else {}
    network = next((holder[key] for key in ("D", "d", "discriminator", "params_d") if key in holder), None)
    if network is None:
        return {}
    try:
        theirs = unwrapped(tensors_of(network, name))
        if any(key.startswith("convs.") for key in theirs):
            named = _named(without_filters(theirs, ".kernel", 1, name), _rosinality_names(theirs))
        else:
            named = _named(without_filters(theirs, ".resample_filter", 1, name), _nvlabs_names(theirs))
    except HscError:  # a part given twice or another filter: not StyleGAN2's
        return {}
    return _complete(named)


def _named(theirs: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Their tensors under hsc's names; those without one keep their own, and so fit no discriminator."""
    return {names.get(key, key): value for key, value in theirs.items()}


def _complete(named: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state with hsc's filters, if it is exactly one of hsc's discriminators; else empty."""
    widths = [named["from_rgb.weight"].shape[0]] if "from_rgb.weight" in named else []
    while widths and (weight := named.get(f"blocks.{len(widths) - 1}.skip.weight")) is not None:
        widths.append(weight.shape[0])
    if len(widths) < 2:
        return {}
    with torch.device("meta"):
        expected = Discriminator(list(reversed(widths))).state_dict()
    state = named | {key: resampling_kernel() for key in expected if key.endswith(".blur")}
    shapes = {key: value.shape for key, value in expected.items()}
    return state if {key: value.shape for key, value in state.items()} == shapes else {}


def _nvlabs_names(theirs: Mapping[str, Tensor]) -> dict[str, str]:
    numbers = (re.match(r"b([0-9]{1,4})\.", key) for key in theirs)
    sizes = sorted({int(number[1]) for number in numbers if number}, reverse=True)
    names = {f"b{sizes[0]}.fromrgb.{part}": f"from_rgb.{part}" for part in ("weight", "bias")} if sizes else {}
    for place, size in enumerate(size for size in sizes if size > 4):
        for layer in ("conv0", "conv1", "skip"):
            names |= {f"b{size}.{layer}.{part}": f"blocks.{place}.{layer}.{part}" for part in ("weight", "bias")}
    for layer, ours in (("conv", "conv"), ("fc", "hidden"), ("out", "out")):
        names |= {f"b4.{layer}.{part}": f"{ours}.{part}" for part in ("weight", "bias")}
    return names


def _rosinality_names(theirs: Mapping[str, Tensor]) -> dict[str, str]:
    names = {"convs.0.0.weight": "from_rgb.weight", "convs.0.1.bias": "from_rgb.bias"}
    blocks = len({key.split(".")[1] for key in theirs if key.startswith("convs.")}) - 1
    for place in range(blocks):
        block = f"convs.{place + 1}"
        names |= {
            f"{block}.conv1.0.weight": f"blocks.{place}.conv0.weight",
            f"{block}.conv1.1.bias": f"blocks.{place}.conv0.bias",
            f"{block}.conv2.1.weight": f"blocks.{place}.conv1.weight",
            f"{block}.conv2.2.bias": f"blocks.{place}.conv1.bias",
            f"{block}.skip.1.weight": f"blocks.{place}.skip.weight",
        }
    names |= {"final_conv.0.weight": "conv.weight", "final_conv.1.bias": "conv.bias"}
    for place, ours in enumerate(("hidden", "out")):
        names |= {f"final_linear.{place}.{part}": f"{ours}.{part}" for part in ("weight", "bias")}
    return names
