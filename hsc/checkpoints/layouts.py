"""The names and shapes of StyleGAN2 generators in other projects, and where checkpoints hold them.

NVlabs' names are the common form: hsc's generator uses them except for the two outermost parts. Weights need no change
between the layouts, not even a flipped kernel; only names and axes of length one differ.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hsc.checkpoints import mobile_stylegan
from hsc.checkpoints.safe_unpickle import Array, Inert
from hsc.errors import HscError
from hsc.nets.stylegan2 import resampling_kernel


class Found(NamedTuple):
    """A generator in a checkpoint.

    layout: "NVlabs", "rosinality", "pSp" or "MobileStyleGAN" · state: by NVlabs' names, float32, without the
    resampling filters · mean_w: [w_dim], None if the checkpoint has none · note: how missing tensors were
    replaced.
    """

    layout: str
    state: dict[str, Tensor]
    mean_w: Tensor | None
    note: str = ""


# Keys under which training programs keep a generator, or a state dict that holds one; averaged weights come first.
HOLDERS = ("G_ema", "g_ema", "params_ema", "generator_ema", "G", "g", "generator", "params", "state_dict", "model")
WRAPPERS = ("module", "_orig_mod")  # DataParallel's and torch.compile's, prefixes of a part's own name
ANCHORS = ("synthesis.b4.const", "input.input", "synthesis.input.freqs")  # one tensor that each kind of generator has
NOISE_SEED = 0
LARGEST_SIDE = 2048


def find(content: Any, name: str) -> Found:
    """The generator in a file that `hsc.checkpoints.safe_unpickle.read` has read; `name`: the file's name.

    Raises HscError if there is none, naming what the file holds instead if that is known.
    """
    holder = content if isinstance(content, dict) else {}
    if parts := mobile_stylegan.find_student(holder):
        return Found(mobile_stylegan.LAYOUT, mobile_stylegan.from_author(*parts, name), None)
    for _ in HOLDERS:  # no deeper than the number of holders: a pickle can contain itself
        if not (key := next((key for key in HOLDERS if _held(content, key) is not None), None)):
            break
        holder, content = content, content[key]
    state, prefix = _without_prefix(unwrapped(tensors_of(content, name)))
    if "synthesis.b4.const" in state:
        mean_w = state.pop("mapping.w_avg", None)
        return Found("NVlabs", without_filters(state, ".resample_filter", 1, name), mean_w)
    if "input.input" in state:
        layout = "pSp" if prefix == "decoder." else "rosinality"
        mean_w = tensors_of({"latent_avg": holder.get("latent_avg")}, name).get("latent_avg")
        translated, note = _with_noise(from_rosinality(state, name))
        return Found(layout, translated, None if mean_w is None else _one_row(mean_w), note)
    if "synthesis.input.freqs" in state:
        raise HscError(f"{name}: a StyleGAN3 generator; hsc needs a StyleGAN2 one")
    raise HscError(
        f"{name}: contains no StyleGAN2 generator; give NVlabs' .pkl, rosinality's or pSp's .pt, MobileStyleGAN's "
        ".ckpt or wheel, or hsc's file"
    )


def _held(content: Any, key: str) -> Any:
    return content.get(key) if isinstance(content, dict) else None


def unwrapped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state without the names that module wrappers put before, or between, the parts' own."""
    return {".".join(part for part in key.split(".") if part not in WRAPPERS): value for key, value in state.items()}


def _without_prefix(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """The generator's tensors in the state dict of a larger module (pSp's `decoder.`), and the prefix they had there.
    Of several generators it takes the averaged one, else the first.
    """
    anchored = [(key, anchor) for key in state for anchor in ANCHORS if f".{key}".endswith(f".{anchor}")]
    prefixes = [key.removesuffix(anchor) for key, anchor in anchored]
    prefix = next((prefix for prefix in prefixes if "ema" in prefix.lower()), prefixes[0] if prefixes else "")
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}, prefix


def _with_noise(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """The state, with noise constants drawn from a fixed seed if it has none, and a note about that.

    rosinality's published FFHQ checkpoint is of a class that drew new noise for every picture.
    """
    if any(key.endswith(".noise_const") for key in state):
        return dict(state), ""
    random = torch.Generator().manual_seed(NOISE_SEED)
    drawn = {}
    for key in state:
        side = int(number[1]) if (number := re.fullmatch(r"synthesis\.b(\d+)\..*\.noise_strength", key)) else 0
        if 0 < side <= LARGEST_SIDE:
            constant = torch.randn(side, side, generator=random)
            drawn[key.replace(".noise_strength", ".noise_const")] = constant
    return {**state, **drawn}, f"without noise constants of its own: drawn from seed {NOISE_SEED}"


def tensors_of(network: Any, name: str) -> dict[str, Tensor]:
    """Parameters and buffers of a state dict or of a pickled network, by name, floating point as float32."""
    found: dict[str, Any] = {}
    if _attributes(network):
        _collect(network, "", found, set(), name)
    elif isinstance(network, dict):
        found = network
    tensors = {key: value.tensor if isinstance(value, Array) else value for key, value in found.items()}
    return {
        key: value.float() if value.is_floating_point() else value
        for key, value in tensors.items()
        if isinstance(key, str) and isinstance(value, Tensor)
    }


def _collect(network: Any, prefix: str, found: dict[str, Any], seen: set[int], name: str) -> None:
    if id(network) in seen:
        raise HscError(f"{name}: a network with a duplicated part; hsc cannot read such generators")
    seen.add(id(network))
    attributes = _attributes(network)
    passing = attributes.get("_non_persistent_buffers_set") or ()
    for kind in ("_parameters", "_buffers"):
        found.update({f"{prefix}{key}": value for key, value in _members(attributes, kind) if key not in passing})
    for key, part in _members(attributes, "_modules"):
        _collect(part, f"{prefix}{key}.", found, seen, name)


def _members(attributes: Mapping[str, Any], kind: str) -> list[tuple[Any, Any]]:
    held = attributes.get(kind)
    return list(held.items()) if isinstance(held, dict) else []


def _attributes(network: Any) -> Mapping[str, Any]:
    """The attributes of a pickled torch module; empty for anything else."""
    if not isinstance(network, Inert):
        return {}
    # NVlabs' modules pickle themselves as a call with one dictionary: source code, class name and "state".
    persistent = network.args[0] if network.name.startswith("torch_utils.persistence.") and network.args else None
    state = persistent.get("state") if isinstance(persistent, dict) else network.state
    return state if isinstance(state, dict) and "_modules" in state else {}


def _one_row(mean_w: Tensor) -> Tensor:
    """latent_avg as [w_dim]: pSp repeats it for each row of W+."""
    rows = mean_w.reshape(-1, mean_w.shape[-1])
    return rows[0] if bool((rows == rows[0]).all()) else rows.mean(0)


def without_filters(state: Mapping[str, Tensor], ending: str, gain: float, name: str) -> dict[str, Tensor]:
    """The state without its resampling filters, all of which must equal that of hsc's generator times `gain`."""
    expected = gain * resampling_kernel()
    for key, value in state.items():
        if not key.endswith(ending):
            continue
        if value.shape != expected.shape or not torch.allclose(value.float(), expected, atol=1e-6):
            raise HscError(
                f"{name}: {key[-60:]!r} is not the filter [1, 3, 3, 1]; hsc only supports StyleGAN2's own filter"
            )
    return {key: value for key, value in state.items() if not key.endswith(ending)}


def rosinality_names(state: Mapping[str, Any], blocks: int) -> dict[str, str]:
    """NVlabs' name → rosinality's, for each mapping layer in `state` (of either layout) and `blocks` resolutions."""
    names = {"synthesis.b4.const": "input.input"}
    depth = sum(1 for i in range(len(state)) if f"mapping.fc{i}.weight" in state or f"style.{i + 1}.weight" in state)
    for i in range(depth):
        names |= {f"mapping.fc{i}.{part}": f"style.{i + 1}.{part}" for part in ("weight", "bias")}
    for k in range(blocks):
        block = f"synthesis.b{4 * 2**k}"
        if k == 0:
            layers = [("conv1", "conv1", 0)]
        else:
            layers = [("conv0", f"convs.{2 * k - 2}", 2 * k - 1), ("conv1", f"convs.{2 * k - 1}", 2 * k)]
        for ours, theirs, noise in layers:
            names |= _modulated(f"{block}.{ours}", theirs)
            names[f"{block}.{ours}.bias"] = f"{theirs}.activate.bias"
            names[f"{block}.{ours}.noise_strength"] = f"{theirs}.noise.weight"
            names[f"{block}.{ours}.noise_const"] = f"noises.noise_{noise}"
        to_rgb = "to_rgb1" if k == 0 else f"to_rgbs.{k - 1}"
        names |= _modulated(f"{block}.torgb", to_rgb)
        names[f"{block}.torgb.bias"] = f"{to_rgb}.bias"
    return names


def _modulated(ours: str, theirs: str) -> dict[str, str]:
    return {
        f"{ours}.weight": f"{theirs}.conv.weight",
        f"{ours}.affine.weight": f"{theirs}.conv.modulation.weight",
        f"{ours}.affine.bias": f"{theirs}.conv.modulation.bias",
    }


def _added_axes(ours: str) -> tuple[int, int]:
    """The number of axes of length one that rosinality has before and after those of NVlabs' tensor."""
    if ours.endswith(".noise_const"):
        return 2, 0
    if ours.endswith(".torgb.bias"):
        return 1, 2
    convolution = ours.endswith(".weight") and ours.startswith("synthesis.") and ".affine." not in ours
    return (1, 0) if convolution or ours.endswith((".const", ".noise_strength")) else (0, 0)


def from_rosinality(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """rosinality's tensors under NVlabs' names; unknown ones keep theirs, so that the caller can report them."""
    rest = without_filters(state, ".kernel", 4, name)
    blocks = 1 + sum(1 for key in rest if key.startswith("to_rgbs.") and key.endswith(".conv.weight"))
    translated = {}
    for ours, theirs in rosinality_names(rest, blocks).items():
        if (tensor := rest.pop(theirs, None)) is None:
            continue
        before, after = _added_axes(ours)
        inner = tensor.shape[before : tensor.ndim - after]
        if tensor.shape != (1,) * before + inner + (1,) * after:
            raise HscError(f"{name}: {theirs} has the shape {list(tensor.shape)}, which no StyleGAN2 generator has")
        translated[ours] = tensor.reshape(inner)
    return translated | rest


def to_rosinality(state: Mapping[str, Tensor], blocks: int) -> dict[str, Tensor]:
    """NVlabs' tensors (without filters and w_avg) as the state dict that rosinality's Generator loads strictly."""
    translated = {}
    for ours, theirs in rosinality_names(state, blocks).items():
        before, after = _added_axes(ours)
        translated[theirs] = state[ours].reshape((1,) * before + tuple(state[ours].shape) + (1,) * after)
    for k in range(blocks - 1):
        for part in (f"convs.{2 * k}.conv.blur", f"to_rgbs.{k}.upsample"):
            translated[f"{part}.kernel"] = 4 * resampling_kernel()
    return translated
