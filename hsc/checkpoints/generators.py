"""Reading and writing generators: hsc's own, StyleGAN2 of NVlabs, rosinality and pSp, and MobileStyleGAN."""

import io
import zipfile
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hsc.checkpoints import discriminators, layouts, mobile_stylegan, safe_unpickle, weights_file
from hsc.checkpoints.storage import to_store
from hsc.errors import HscError
from hsc.files import ZIP_COMMENT, sha256, write_atomically
from hsc.nets.generator import Generator
from hsc.nets.mobile_stylegan import MobileStyleGAN
from hsc.nets.stylegan2 import StyleGAN2, resampling_kernel

KIND = "generator"
INSIDE = "decoder.generator."  # prefix of its names in files that hold more than a generator
LAYOUTS = ("rosinality", "psp", "nvlabs")
_MEAN_SAMPLES = 10_000
_SHOWN = 60  # characters of a foreign tensor name in a message


def load_generator(path: str | Path) -> Generator:
    """A generator in eval mode on the CPU from any of the layouts, recognised by content.

    Size, channels, mapping depth and widths come from the tensors. A mean style that is not in the file is measured
    from 10,000 seeded samples. Nothing stored in the file is executed. Raises HscError, in one line, for files that are
    missing, truncated, hostile, incomplete, or for another network.
    """
    return _load(path).generator


def save_generator(
    path: str | Path, generator: Generator, card: Mapping[str, Any] | None = None, small: bool = False
) -> None:
    """Write hsc's weights file of a generator; `card`: information for its users (source, licence, data).

    `small`: mostly in int8, as released networks are stored (`hsc.checkpoints.storage`).
    """
    tensors = generator.state_dict()
    weights_file.save(
        path, to_store(tensors) if small else tensors, KIND, _config(_to_nvlabs(generator), str(path)), card
    )


def import_generator(file: str | Path, out: str | Path) -> str:
    """Write the generator in `file` (any layout) as hsc's weights file `out`, with its discriminator if there is one.

    Returns a line that describes it.
    """
    generator, layout, note = _load(file)
    discriminator = load_discriminator(file)
    card = {"source": Path(file).name, "sha256": sha256(file), "layout": layout}
    card |= {"note": note} if note else {}
    beside = {discriminators.INSIDE + key: value for key, value in discriminator.items()}
    config = _config(_to_nvlabs(generator), str(out))
    weights_file.save(out, generator.state_dict() | beside, KIND, config, card)
    what = "with its discriminator, " if discriminator else ""
    return f"{describe(generator)}, {what}from {layout}'s layout{note and f', {note}'} → {out}"


def load_discriminator(path: str | Path) -> dict[str, Tensor]:
    """The state of the discriminator stored beside a generator, for training to continue with; empty if there is none.

    Raises HscError for files that cannot be read.
    """
    if mobile_stylegan.is_package(path):
        return {}
    if not weights_file.is_safetensors(path):
        return discriminators.find_discriminator(safe_unpickle.read(path), str(path))
    held, inside = weights_file.load(path), discriminators.INSIDE
    return {key.removeprefix(inside): value for key, value in held.tensors.items() if key.startswith(inside)}


def is_imported(path: str | Path) -> bool:
    """Whether `import_generator` wrote this file; False for a generator that hsc trained."""
    try:
        held = weights_file.describe(path)
    except HscError:
        return False
    return held.kind == KIND and "layout" in held.card


def export_generator(file: str | Path, out: str | Path, layout: str) -> str:
    """Write the generator in `file` (any layout) as a `.pt` for another project: "rosinality" (`g_ema`, `latent_avg`),
    "psp" (`state_dict` with `decoder.*`, without an encoder) or "nvlabs" (the bare state dict of `G_ema`).

    Returns a summary with the arguments for the other project's Generator. Raises HscError for what those layouts
    cannot hold: a MobileStyleGAN, a 4×4 input that depends on the style and, except for "nvlabs", z and w of different
    lengths.
    """
    if layout not in LAYOUTS:
        raise HscError(f"unknown layout '{layout}'; choose one of {', '.join(LAYOUTS)}")
    generator = load_generator(file)
    if not isinstance(generator, StyleGAN2):
        raise HscError(f"{file}: a {type(generator).__name__}; other projects' layouts hold StyleGAN2 only")
    state = _to_nvlabs(generator)
    config = _config(state, str(file))
    if config["input"] != "const":
        raise HscError(f"{file}: its 4×4 input follows the style, which no other project's layout can hold")
    if layout != "nvlabs" and generator.z_dim != generator.w_dim:
        raise HscError(f"{file}: z has {generator.z_dim} numbers and w {generator.w_dim}; only 'nvlabs' can hold that")
    stream = io.BytesIO()
    torch.save(_checkpoint(state, config, layout), stream)
    with zipfile.ZipFile(stream, "a") as archive:  # the format in which torch saves
        archive.comment = ZIP_COMMENT
    write_atomically(out, stream.getvalue())
    return f"{describe(generator)} → {out}; {_constructor(generator, config, layout)}"


def describe(generator: Generator) -> str:
    """A generator in a few words: size, rows, mapping, channels."""
    config = _config(_to_nvlabs(generator), "generator")
    channels = "/".join(map(str, config["channels"]))
    return (
        f"{type(generator).__name__} {generator.size}×{generator.size}, "
        f"{generator.num_rows} rows of {generator.w_dim}, "
        f"{config['mapping_layers']} mapping layers, channels {channels}"
    )


class _Loaded(NamedTuple):
    generator: Generator
    layout: str
    note: str = ""


def _load(path: str | Path) -> _Loaded:
    name = str(path)
    if weights_file.is_safetensors(path):
        held = _generator_tensors(weights_file.load(path), name)
        state = {_nvlabs_name(key): value for key, value in held.items()}
        mean_w = state.pop("mapping.w_avg", None)
        return _Loaded(_build(layouts.without_filters(state, ".resample_filter", 1, name), mean_w, name), "hsc")
    if mobile_stylegan.is_package(path):
        return _Loaded(_build(mobile_stylegan.from_package(path), None, name), mobile_stylegan.LAYOUT)
    found = layouts.find(safe_unpickle.read(path), name)
    return _Loaded(_build(found.state, found.mean_w, name), found.layout, found.note)


def _generator_tensors(held: weights_file.WeightsFile, name: str) -> Mapping[str, Tensor]:
    """A generator's tensors, also from a file that holds it among others: a prior's, a codec's, a stage's."""
    if held.kind == KIND:
        return {key: value for key, value in held.tensors.items() if not key.startswith(discriminators.INSIDE)}
    inside = {key.removeprefix(INSIDE): value for key, value in held.tensors.items() if key.startswith(INSIDE)}
    if held.kind == "codec" and inside and "mapping_network.fc0.weight" not in inside:
        raise HscError(f"{name}: a codec, whose generator has no mapping network; give a prior, such as prior128")
    if not inside:
        raise HscError(
            f"{name}: contains weights of kind {held.kind[:_SHOWN]!r} without a generator; give another file"
        )
    return inside


def _build(state: Mapping[str, Tensor], mean_w: Tensor | None, name: str) -> Generator:
    """The generator that fits the tensors (NVlabs' names, without filters), with exactly these weights."""
    config = _config(state, name)
    # On the meta device nothing is allocated or drawn: the global random state does not change.
    with torch.device("meta"):
        generator = MobileStyleGAN(**config) if mobile_stylegan.is_in(state) else StyleGAN2(**config)
    expected = {_nvlabs_name(key): value.shape for key, value in generator.state_dict().items()}
    given = dict(state)
    given["mapping.w_avg"] = torch.zeros(config["w_dim"]) if mean_w is None else mean_w
    given |= {key: resampling_kernel() for key in expected if key.endswith(".resample_filter")}
    _compare(given, expected, name)
    generator.load_state_dict({_hsc_name(key): _owned(value) for key, value in given.items()}, assign=True)
    generator.eval()
    if mean_w is None:
        generator.mean_w.copy_(_measured_mean(generator))
    return generator


def _owned(value: Tensor) -> Tensor:
    """A float32 copy, convolution kernels in the memory order that the generator runs in."""
    order = torch.channels_last if value.ndim == 4 else torch.contiguous_format
    return value.to(torch.float32, copy=True, memory_format=order)


def _config(state: Mapping[str, Tensor], name: str) -> dict[str, Any]:
    """The arguments of StyleGAN2 or MobileStyleGAN, inferred from the shapes."""
    try:
        if mobile_stylegan.is_in(state):
            return mobile_stylegan.config(state)
        channels: list[int] = []
        while (key := f"synthesis.b{4 * 2 ** len(channels)}.conv1.weight") in state:
            channels.append(state[key].shape[0])
        if not channels:
            raise KeyError(key)
        depth = sum(1 for i in range(len(state)) if f"mapping.fc{i}.weight" in state)
        return {
            "channels": channels,
            "z_dim": state["mapping.fc0.weight"].shape[1],
            "w_dim": state["synthesis.b4.conv1.affine.weight"].shape[1],
            "mapping_layers": depth,
            "input": "style" if "synthesis.b4.input_affine.weight" in state else "const",
        }
    except (KeyError, IndexError) as error:
        raise HscError(f"{name}: a generator without its first layers; give a complete checkpoint") from error


def _compare(given: Mapping[str, Tensor], expected: Mapping[str, torch.Size], name: str) -> None:
    """Raises HscError unless the tensors are exactly those expected."""
    if "mapping.embed.weight" in given:
        raise HscError(f"{name}: a class-conditional generator; hsc needs an unconditional one")
    for keys, what in ((expected.keys() - given.keys(), "lacks"), (given.keys() - expected.keys(), "has a surplus of")):
        if keys:
            raise HscError(
                f"{name}: not a StyleGAN2 skip generator or a MobileStyleGAN: it {what} {len(keys)} tensors, such as "
                f"{min(keys)[:_SHOWN]!r}; give a complete checkpoint"
            )
    for key, shape in expected.items():
        held = given[key].shape
        if held != shape:
            raise HscError(f"{name}: {key} has the shape {list(held)} where {list(shape)} fits the other tensors")
        if not given[key].is_floating_point():
            raise HscError(f"{name}: {key} holds {given[key].dtype}, not floating-point numbers")


def _measured_mean(generator: Generator) -> Tensor:
    # In double precision, so that every machine gets the same numbers.
    z = torch.from_numpy(np.random.default_rng(0).standard_normal((_MEAN_SAMPLES, generator.z_dim)))
    with torch.no_grad():
        return deepcopy(generator.mapping_network).double()(z).mean(0)


def _hsc_name(nvlabs: str) -> str:
    part, rest = nvlabs.split(".", 1)
    return f"{part}_network.{rest}"


def _nvlabs_name(hsc: str) -> str:
    part, dot, rest = hsc.partition(".")
    return part.removesuffix("_network") + dot + rest


def _to_nvlabs(generator: Generator) -> dict[str, Tensor]:
    return {_nvlabs_name(key): value.detach().float().contiguous() for key, value in generator.state_dict().items()}


def _checkpoint(state: dict[str, Tensor], config: Mapping[str, Any], layout: str) -> dict[str, Any]:
    """The content that the other project's torch.save would have written."""
    if layout == "nvlabs":
        return state
    blocks = len(config["channels"])
    network = layouts.to_rosinality(state, blocks)
    mean_w = state["mapping.w_avg"]
    if layout == "rosinality":
        return {"g_ema": network, "latent_avg": mean_w}
    return {
        "state_dict": {f"decoder.{key}": value for key, value in network.items()},
        "latent_avg": mean_w.repeat(2 * blocks, 1),
        "opts": {"output_size": 4 * 2 ** (blocks - 1)},
    }


def _constructor(generator: Generator, config: Mapping[str, Any], layout: str) -> str:
    """The constructor call for the class that loads an export."""
    channels = config["channels"]
    if layout == "nvlabs":
        return "load it into a Generator whose blocks have these channels"
    arguments = f"{generator.size}, {generator.w_dim}, {config['mapping_layers']}"
    for multiplier in (2, 1):
        usual = [min(512, 16384 * multiplier // (4 * 2**k)) if k > 3 else 512 for k in range(len(channels))]
        if channels == usual:
            return f"load its network strictly into Generator({arguments}, channel_multiplier={multiplier})"
    table = ", ".join(f"{4 * 2**k}: {width}" for k, width in enumerate(channels))
    return f"load its network strictly into Generator({arguments}) with its table of channels set to {{{table}}}"
