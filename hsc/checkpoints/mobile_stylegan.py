"""MobileStyleGAN generators: hsc's own, those that its author exported to OpenVINO, and the author's checkpoints.

The last two are both mapped to the names of bes-dev's MobileStyleGAN.pytorch. There, a layer's style multiplies its
input by a factor that depends on the layer's width, and demodulation is a function of the kernels alone. hsc folds both
into the kernels, and balances the layers: styles are 1 on average, as in a newly initialised network.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hsc.checkpoints import openvino
from hsc.errors import HscError
from hsc.nets.mobile_stylegan import OWN_LAYERS

LAYOUT = "MobileStyleGAN"
LAYERS = 7  # of the networks that hsc reads, all of 1024²
_NETWORKS = ("MappingNetwork", "SynthesisNetwork")
_LEARNING_RATE = 0.01  # of the mapping network, folded into exported weights
_CONVOLUTIONS = ["conv1", *[f"layers.{k}.conv{j}" for k in range(LAYERS) for j in (1, 2)]]
_IMAGE = f"layers.{LAYERS - 1}.to_img"
_STYLES = [*(f"{key}.conv" for key in [*_CONVOLUTIONS, _IMAGE]), *(f"layers.{k}.up" for k in range(LAYERS))]
_MODULATIONS = [f"{style}.modulation.{part}" for style in _STYLES for part in ("weight", "bias")]

State = dict[str, Tensor]


def is_in(state: Mapping[str, Tensor]) -> bool:
    """Whether the tensors, by hsc's names, are a MobileStyleGAN's."""
    return "synthesis.layers.0.up_affine.weight" in state


def is_package(path: str | Path) -> bool:
    """Whether the file is a wheel or zip with exported networks."""
    return openvino.is_archive(path, _NETWORKS)


def config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The arguments of `hsc.nets.mobile_stylegan.MobileStyleGAN`, taken from the shapes. Raises KeyError or IndexError
    for a state without its first layers.
    """
    channels = [state["synthesis.const"].shape[0]]
    channels += _widths(state, "synthesis.layers")
    full = _widths(state, "synthesis.full_layers")
    return {
        "channels": channels,
        "z_dim": state["mapping.fc0.weight"].shape[1],
        "w_dim": state["synthesis.conv1.affine.weight"].shape[1],
        "mapping_layers": sum(1 for i in range(len(state)) if f"mapping.fc{i}.weight" in state),
        "full": [*channels[:-OWN_LAYERS], *full] if full else [],
    }


def _widths(state: Mapping[str, Tensor], layers: str) -> list[int]:
    """Channels after each of the layers of that name."""
    widths: list[int] = []
    while (weight := state.get(f"{layers}.{len(widths)}.conv2.weight")) is not None:
        widths.append(weight.shape[0])
    return widths


def from_package(path: str | Path) -> State:
    """hsc's tensors of the networks in a wheel such as random-face's (`is_package`).

    Raises HscError, in one line, for damaged files and other networks.
    """
    mapping, synthesis = openvino.read_archive(path, _NETWORKS)
    parts = _exported_synthesis(synthesis, f"{path}: {_NETWORKS[1]}")
    return _exported_mapping(mapping, f"{path}: {_NETWORKS[0]}") | _balanced(parts, str(path))


def find_student(holder: Mapping[Any, Any]) -> tuple[State, State] | None:
    """Tensors of `student` and of `mapping_net` in a checkpoint by the author (Lightning's, or of two state dicts), by
    the names inside them; None if there is no such student.
    """
    network = holder.get("state_dict", holder)
    tensors: State = {}
    for outer, value in network.items() if isinstance(network, dict) else ():
        inside = {f"{outer}.{key}": one for key, one in value.items()} if isinstance(value, dict) else {outer: value}
        tensors |= {str(key): one.float() for key, one in inside.items() if isinstance(one, Tensor)}
    student, mapping = (
        {key.removeprefix(part): value for key, value in tensors.items() if key.startswith(part)}
        for part in ("student.", "mapping_net.")
    )
    return (student, mapping) if "input.input" in student else None


def from_author(student: State, mapping: State, name: str) -> State:
    """hsc's tensors from the author's. Noise, which is drawn for each picture there, is drawn once and kept.

    Raises HscError for missing tensors, and for the later variant that does not modulate its up-sampling.
    """
    if "layers.0.up.modulation.weight" not in student:
        raise HscError(f"{name}: a MobileStyleGAN whose upsampling has no style, which hsc does not support")
    random = torch.Generator().manual_seed(0)
    try:
        # The image heads below the last one served training only and are not part of the finished network.
        parts = {key: student[key] for key in ("input.input", f"{_IMAGE}.bias", *_MODULATIONS)}
        parts[f"{_IMAGE}.kernel"] = student[f"{_IMAGE}.conv.weight"]
        for k, key in enumerate(_CONVOLUTIONS):
            if k:
                depthwise, kernel = (student[f"{key}.conv.weight_{part}"] for part in ("dw", "permute"))
                parts[f"{key}.conv.weight_dw"] = depthwise
                whole = kernel * depthwise.transpose(0, 1)
            else:
                whole = kernel = student[f"{key}.conv.weight"]
            styled = _style_scale(whole.shape[1]) * student[f"{key}.conv.style_inv"][0] * whole
            parts[f"{key}.kernel"] = kernel * (styled.square().sum((1, 2, 3), keepdim=True) + 1e-8).rsqrt()
            parts[f"{key}.bias"] = student[f"{key}.bias"]
            side = 4 * 2 ** ((k + 1) // 2)
            parts[f"{key}.noise"] = student[f"{key}.noise.weight"] * torch.randn(1, 1, side, side, generator=random)
        depth = max(int(key.split(".")[1]) for key in mapping)
        fully = {f"mapping.fc{i}.{p}": mapping[f"layers.{i + 1}.{p}"] for i in range(depth) for p in ("weight", "bias")}
    except (KeyError, IndexError, RuntimeError, ValueError) as error:
        raise HscError(f"{name}: a MobileStyleGAN of 1024² without some of its tensors; give another file") from error
    return fully | _balanced(parts, name)


def _style_scale(inputs: int, kernel: int = 3) -> float:
    """The factor by which the author multiplies the styles of a convolution."""
    return 1 / (kernel * math.sqrt(inputs))


def _exported_mapping(network: openvino.Network, name: str) -> State:
    """Fully connected layers, in the order of data flow. Their learning-rate factor is removed again."""
    products = [layer for layer, kind in network.kinds.items() if kind == "MatMul"]
    last = next((layer for layer, kind in network.kinds.items() if kind == "Result"), "")
    order = [layer for layer in reversed([*network.before(last)]) if network.kinds[layer] == "MatMul"]
    weights = [network.constant(layer) for layer in order]
    biases = [layer for layer, (_, value) in network.constants.items() if value.ndim == 1 and value.numel() > 1]
    if not order or sorted(order) != sorted(products) or None in weights or len(biases) != len(order):
        raise HscError(f"{name}: not MobileStyleGAN's mapping network")
    state: State = {}
    for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        matrix = network.constants[weight or ""][1]
        state[f"mapping.fc{i}.weight"] = matrix * (math.sqrt(matrix.shape[-1]) / _LEARNING_RATE)
        state[f"mapping.fc{i}.bias"] = network.constants[bias][1] / _LEARNING_RATE
    _account(network, {*weights, *biases}, name)
    return state


def _exported_synthesis(network: openvino.Network, name: str) -> State:
    """The parts of an exported network, each found by its name or by the operations that use it."""
    names = {label.removeprefix("m."): layer for layer, (label, _) in network.constants.items()}
    used: set[str | None] = set()
    parts: State = {}

    def take(part: str, layer: str | None) -> None:
        if layer is None:
            raise KeyError(part)
        used.add(layer)
        parts[part] = network.constants[layer][1]

    try:
        take("input.input", names["input.input"])
        for key in [*_CONVOLUTIONS, _IMAGE]:
            take(f"{key}.bias", names[f"{key}.bias"])
            (added,) = network.users[names[f"{key}.bias"]]
            through = network.before(added)
            if key != _IMAGE:
                take(f"{key}.noise", network.constant(next(through)))
            take(f"{key}.kernel", network.constant(next(through)))
            if key not in ("conv1", _IMAGE):
                take(f"{key}.conv.weight_dw", names[f"{key}.conv.weight_dw"])
        for key in _MODULATIONS:
            take(key, names[key])
    except (KeyError, ValueError, StopIteration) as error:
        raise HscError(f"{name}: not MobileStyleGAN's synthesis network of 1024²; give random-face's wheel") from error
    _account(network, used, name)
    return parts


def _account(network: openvino.Network, used: set[str | None], name: str) -> None:
    """Raise HscError if a constant is neither one of those used, nor a factor or filter of the Haar transform."""
    for layer, (label, values) in network.constants.items():
        kinds = {network.kinds[user] for user in network.users.get(layer, [])}
        haar = kinds == {"GroupConvolutionBackpropData"} and bool((values.square() - 0.5).abs().max() < 1e-5)
        slope = "PReLU" in kinds and abs(float(values.flatten()[0]) - 0.2) > 1e-5
        if slope or not (layer in used or values.numel() == 1 or haar):
            raise HscError(f"{name}: {label[:60]!r} is no part of a MobileStyleGAN, so this is another network")


def _balanced(parts: State, name: str) -> State:
    """hsc's tensors from the author's, each style divided by approximately its mean, which moves into the kernels."""
    try:
        state: State = {"synthesis.const": _by_bands(parts.pop("input.input")[0], False)}
        moved = 1.0
        for key in [*_CONVOLUTIONS, _IMAGE]:
            ours = f"synthesis.{key}" if key != _IMAGE else f"synthesis.heads.{8 * 2**LAYERS}"
            doubles = key == "conv1" or (key.endswith("conv2") and key != _CONVOLUTIONS[-1])  # feeds the Haar transform
            kernel = parts.pop(f"{key}.kernel")
            inputs = kernel.shape[1]
            if key.endswith(".conv1"):
                up = key.replace("conv1", "up")
                affine, moved = _affine(parts, f"{up}.modulation", 1.0)
                state |= {f"{ours.replace('conv1', 'up_affine')}.{p}": _by_bands(v) for p, v in affine.items()}
            affine, mean = _affine(parts, f"{key}.conv.modulation", _style_scale(inputs, 1 if key == _IMAGE else 3))
            state |= {f"{ours}.affine.{part}": value for part, value in affine.items()}
            gain = kernel.shape[-1] * math.sqrt(inputs)
            if (depthwise := parts.pop(f"{key}.conv.weight_dw", None)) is not None:
                state[f"{ours}.depthwise"] = depthwise.reshape(-1, 1, *depthwise.shape[-2:]) * mean * moved
            else:
                gain = gain * mean
            state[f"{ours}.weight"] = _by_bands(kernel * gain, doubles or key == _IMAGE)
            state[f"{ours}.bias"] = _by_bands(parts.pop(f"{key}.bias").flatten(), doubles or key == _IMAGE)
            if key != _IMAGE:
                state[f"{ours}.noise"] = parts.pop(f"{key}.noise")[0, 0]
            moved = 1.0
    except (KeyError, IndexError, RuntimeError, ValueError) as error:
        raise HscError(f"{name}: a MobileStyleGAN with inconsistent tensors; give another file") from error
    if parts:
        raise HscError(f"{name}: {min(parts)[:60]!r} is no part of a MobileStyleGAN of 1024²")
    return state


def _affine(parts: State, key: str, scale: float) -> tuple[State, float]:
    """Weight (at equalised learning rate) and bias of a style, and the factor divided out: the power of two nearest to
    the root mean square of the bias, which divides without loss.
    """
    weight, bias = parts.pop(f"{key}.weight") * scale, parts.pop(f"{key}.bias").flatten() * scale
    size = float(bias.square().mean().sqrt())
    mean = 2.0 ** round(math.log2(size)) if size > 0 and math.isfinite(size) else 1.0
    return {"weight": weight / mean * math.sqrt(weight.shape[1]), "bias": bias / mean}, mean


def _by_bands(values: Tensor, doubles: bool = True) -> Tensor:
    """Channels in hsc's order: one band of the Haar transform after the other. The author's order keeps the three
    differences of a pixel together, after all averages.
    """
    if not doubles:
        return values
    averages, differences = values.split([len(values) // 4, len(values) - len(values) // 4])
    return torch.cat([averages, *differences.unflatten(0, (-1, 3)).unbind(1)])
