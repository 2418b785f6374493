"""MobileStyleGAN's tensors by hsc's names, the outermost part as NVlabs calls it: `mapping.` and `synthesis.`."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def is_in(state: Mapping[str, Tensor]) -> bool:
    """Whether the tensors are a MobileStyleGAN's."""
    return "synthesis.layers.0.up_affine.weight" in state


def config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The arguments of `hsc.nets.mobile_stylegan.MobileStyleGAN`, read off the shapes. Raises KeyError or IndexError
    for a state without its first layers.
    """
    channels = [state["synthesis.const"].shape[0]]
    while (weight := state.get(f"synthesis.layers.{len(channels) - 1}.conv2.weight")) is not None:
        channels.append(weight.shape[0])
    heads = {key.split(".")[2] for key in state if key.startswith("synthesis.heads.") and key.endswith(".bias")}
    return {
        "channels": channels,
        "z_dim": state["mapping.fc0.weight"].shape[1],
        "w_dim": state["synthesis.conv1.affine.weight"].shape[1],
        "mapping_layers": sum(1 for i in range(len(state)) if f"mapping.fc{i}.weight" in state),
        "sizes": sorted(int(size) for size in heads if size.isdecimal()),
    }
