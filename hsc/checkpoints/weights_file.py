"""The hsc weights file: safetensors whose metadata says what the tensors are and how to build the network for them.

Large tensors of equal content, such as what encoder and decoder share, are written once.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from hsc.checkpoints.storage import from_store
from hsc.errors import HscError
from hsc.files import write_atomically

FORMAT = 1
_KEY = "hsc"  # one key: safetensors orders several at random, and equal content should give equal bytes
_WORTH_SHARING = 4096  # numbers in a tensor that is looked for under another name
_LONGEST_HEADER = 100_000_000  # safetensors' own limit


class WeightsFile(NamedTuple):
    """What a weights file holds.

    tensors: by name · kind: what they are, such as "generator" · config: how to build the network they belong to ·
    card: what people should know about them (source, licence, training data), empty when nothing was said.
    """

    tensors: dict[str, Tensor]
    kind: str
    config: dict[str, Any]
    card: dict[str, Any]


def save(
    path: str | Path,
    tensors: Mapping[str, Tensor],
    kind: str,
    config: Mapping[str, Any],
    card: Mapping[str, Any] | None = None,
) -> None:
    """Write tensors with their kind, config and card (both JSON values); the old file stays until the new is whole.

    They are written as they are; `storage.to_store` makes them small, and `load` undoes that.

    Equal content, in equal order, gives equal bytes. Raises HscError when the file cannot be written.
    """
    about = {"format": FORMAT, "kind": kind, "config": dict(config), "card": dict(card or {})}
    # Cloned, since safetensors refuses views and tensors that share memory.
    copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    if same := _pop_repeated(copies):
        about["same"] = same
    write_atomically(path, safetensors.torch.save(copies, {_KEY: json.dumps(about)}))


def load(path: str | Path, kind: str | None = None) -> WeightsFile:
    """Read a weights file; `kind` is what it must hold, None for anything.

    Raises HscError when the file is missing, is no safetensors file, is truncated, was not written by hsc, comes from
    a newer hsc or holds another kind.
    """
    path = Path(path)
    if not is_safetensors(path):
        raise HscError(f"{path}: not a safetensors file; give a weights file that hsc wrote")
    try:
        with safe_open(path, framework="pt") as file:
            about = _about(path, file.metadata() or {}, kind)
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no mapping
            stored |= {name: stored[other] for name, other in about.get("same", {}).items()}
            tensors = from_store(stored)
    # KeyError of a name that is not there, RuntimeError of scales that fit no tensor
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise HscError(f"{path}: truncated or damaged safetensors file; fetch or write it again") from error
    return WeightsFile(tensors, about["kind"], about["config"], about["card"])


def _pop_repeated(tensors: dict[str, Tensor]) -> dict[str, str]:
    """Take tensors out that others equal, bit for bit: their names, and those of the tensors that stay."""
    first: dict[tuple, str] = {}
    same: dict[str, str] = {}
    for name in sorted(tensors):
        tensor = tensors[name]
        if tensor.numel() >= _WORTH_SHARING:
            content = hashlib.sha256(tensor.flatten().view(torch.uint8).numpy().data).digest()
            other = first.setdefault((tensor.dtype, tensor.shape, content), name)
            if other != name:
                same[name] = other
                del tensors[name]
    return same


def describe(path: str | Path) -> WeightsFile:
    """What `load` gives, without reading the tensors. Raises the same."""
    path = Path(path)
    if not is_safetensors(path):
        raise HscError(f"{path}: not a safetensors file; give a weights file that hsc wrote")
    try:
        with safe_open(path, framework="pt") as file:
            about = _about(path, file.metadata() or {}, None)
    except SafetensorError as error:
        raise HscError(f"{path}: truncated or damaged safetensors file; fetch or write it again") from error
    return WeightsFile({}, about["kind"], about["config"], about["card"])


def is_safetensors(path: str | Path) -> bool:
    """Whether the file begins as a safetensors file does. Raises HscError when it cannot be read."""
    try:
        with open(path, "rb") as file:
            start = file.read(9)
    except FileNotFoundError as error:
        raise HscError(f"{path}: no such file") from error
    except OSError as error:
        raise HscError(f"{path}: cannot be read ({error.strerror}); give a weights file") from error
    return len(start) == 9 and struct.unpack("<Q", start[:8])[0] <= _LONGEST_HEADER and start[8:] == b"{"


def _about(path: Path, metadata: Mapping[str, str], kind: str | None) -> dict[str, Any]:
    """The checked description of a file's content."""
    try:
        about = json.loads(metadata[_KEY])
        version = int(about["format"])
        if version > FORMAT:
            raise HscError(f"{path}: written by a newer hsc (format {version}, this one reads {FORMAT}); upgrade hsc")
        held, config, card = about["kind"], about["config"], about["card"]
    except (KeyError, TypeError, ValueError) as error:
        raise HscError(f"{path}: safetensors, but not written by hsc; give a weights file that hsc wrote") from error
    same = about.get("same", {})
    dicts = all(isinstance(part, dict) for part in (config, card, same))
    if not (dicts and isinstance(held, str) and all(isinstance(name, str) for name in same.values())):
        raise HscError(f"{path}: its description is damaged; fetch or write it again")
    if kind is not None and held != kind:
        raise HscError(f"{path}: holds weights of kind {held[:40]!r} where {kind!r} is needed; give another file")
    return about
