"""Codecs on disk: one safetensors file with the networks, the integer twin of the entropy model and its table.

Floating-point tensors are stored in few bits (`hsc.checkpoints.storage`) under the names they have in training
(`encoder.net…`, `decoder.heads…`), so a codec file can also be fine-tuned. Integers are stored unchanged: loading them
involves no computation.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from hsc.checkpoints import weights_file
from hsc.checkpoints.storage import as_stored, to_store
from hsc.codec import Codec, Networks
from hsc.coding.container import Header
from hsc.coding.tables import FrequencyTable
from hsc.config import model_from_dict
from hsc.devices import find_device
from hsc.errors import HscError
from hsc.nets.build import build_encoder, build_entropy_twin, build_gain, build_generator, build_heads
from hsc.qualities import Qualities
from hsc.released import DEFAULT_MODEL, find_weights, released_names

KIND = "codec"
MODEL_ID = "model_id"  # of the card
PREFIXES = ("encoder.net.", "entropy.gain.", "decoder.heads.", "decoder.generator.")  # of Networks
MAPPING = "decoder.generator.mapping_network.fc"  # not needed by a codec, which has W+


def load(model: str | Path = DEFAULT_MODEL, device: str | torch.device = "auto") -> Codec:
    """Load a trained codec.

    Args:
        model: A released name, a run folder or a weights file; by default the codec that comes with hsc.
        device: Where it runs: "auto" (an accelerator if there is one, else the processor), "cpu", "cuda", "cuda:1"…

    Raises:
        HscError: Where there are no such weights, they are damaged or of another kind, or there is no such device.

    Examples:
        >>> codec = hsc.load("ffhq128")
        >>> codec.layers
        ('basic', 'middle', 'enhanced')
    """
    path = find_weights(model)
    held = weights_file.load(path, KIND)
    config = model_from_dict(held.config)
    networks = Networks(build_encoder(config), build_gain(config), build_heads(config), build_generator(config))
    twin = build_entropy_twin(config)
    for part, prefix in [*zip(networks, PREFIXES, strict=True), (twin, "integer.")]:
        _fill(path, part, prefix, held.tensors)
    table = FrequencyTable.from_arrays(
        {
            name.removeprefix("table."): tensor.numpy()
            for name, tensor in held.tensors.items()
            if name.startswith("table.")
        }
    )
    codec = Codec(config, networks, twin, table, path.parent.name if path.stem == KIND else path.stem, held.card)
    return codec.eval().requires_grad_(False).to(find_device(device))


def save(path: str | Path, codec: Codec, entropy: nn.Module, card: Mapping[str, Any] | None = None) -> None:
    """Write a codec, with the float entropy model that its twin was made from; without its generator's mapping network.

    The card also gets the model's id, by which a file identifies the codec that can decode it.
    """
    tensors = to_store({f"entropy.net.{name}": value for name, value in entropy.state_dict().items()})
    for part, prefix in zip(codec.networks, PREFIXES, strict=True):
        named = {prefix + name: value for name, value in part.state_dict().items()}
        tensors |= to_store({name: value for name, value in named.items() if not name.startswith(MAPPING)})
    tensors |= {f"integer.{name}": value for name, value in codec.entropy.state_dict().items()}
    tensors |= {f"table.{name}": torch.from_numpy(np.array(value)) for name, value in codec.table.to_arrays().items()}
    # From the file's content: storing rounds the given networks.
    stored = Networks._make(as_stored(part) for part in codec.networks)
    model_id = Codec(codec.model, stored, codec.entropy, codec.table).model_id
    model = replace(codec.model, generator=replace(codec.model.generator, mapping_layers=0))
    weights_file.save(path, tensors, KIND, asdict(model), {**(card or {}), MODEL_ID: model_id})


class Released(NamedTuple):
    """A codec that comes with hsc."""

    name: str
    layers: tuple[str, ...]
    num_qualities: int

    def quality(self, header: Header) -> float:
        """The quality of a file, in levels."""
        return Qualities(self.num_qualities).level_of(header)


def released_codec(model_id: int) -> Released | None:
    """The released codec whose files carry this id, if any."""
    for name in released_names():
        held = weights_file.describe(find_weights(name))
        # Older codec files, whose card lacks the id, are loaded to compute it.
        if held.kind == KIND and (held.card[MODEL_ID] if MODEL_ID in held.card else load(name).model_id) == model_id:
            return Released(name, tuple(held.config["layers"]), len(held.config["lambdas"]))
    return None


def _fill(path: Path, part: nn.Module, prefix: str, tensors: Mapping[str, Tensor]) -> None:
    own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    try:
        part.load_state_dict(own)
    except RuntimeError as error:
        told = "another version of hsc wrote it, or it is damaged: fetch or write it again"
        raise HscError(f"{path}: its tensors do not fit its own config; {told}") from error
