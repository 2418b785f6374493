"""The hsc weights file: safetensors with metadata that describes the tensors and how to build their network.

Large tensors of equal content, such as those that encoder and decoder share, are written once. A large file may be
`split` into several; the first, which is the one to load, names the others.
"""

import hashlib
import json
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from hsc.checkpoints.storage import from_store
from hsc.errors import HscError
from hsc.files import sha256, write_atomically

FORMAT = 2  # files that are not split are still format 1
_KEY = "hsc"  # one key: safetensors orders several at random, and equal content should give equal bytes
_WORTH_SHARING = 4096  # smallest number of elements for which a tensor is deduplicated
_LONGEST_HEADER = 100_000_000  # safetensors' own limit
_PART = "part"  # kind of the further files of a split one


class WeightsFile(NamedTuple):
    """The content of a weights file.

    tensors: by name · kind: what they are, such as "generator" · config: how to build the network they belong to ·
    card: information for users (source, licence, training data), empty if none was given.
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
    """Write tensors with their kind, config and card (both JSON values); replaces an old file only when complete.

    They are written unchanged; `storage.to_store` makes them small, and `load` reverses that.

    Equal content, in equal order, gives equal bytes. Raises HscError when the file cannot be written.
    """
    about = {"format": 1, "kind": kind, "config": dict(config), "card": dict(card or {})}
    # Cloned, since safetensors refuses views and tensors that share memory.
    copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    if same := _pop_repeated(copies):
        about["same"] = same
    _write(path, copies, about)


def split(path: str | Path, out: str | Path, largest: int) -> list[Path]:
    """Write a weights file again, as `out` and as many further files beside it as keep each below `largest` bytes.

    Returns the files, `out` first; the others are OUT.2.safetensors, OUT.3.safetensors … A tensor is never divided.
    Raises HscError if it is not a weights file, or if a single tensor is larger.
    """
    about, tensors = _read(Path(path), None)
    about.pop("parts", None)
    room = largest - len(json.dumps(about)) - 300 * len(tensors)  # for names, shapes and offsets in the header
    parts: list[dict[str, Tensor]] = []
    for name, tensor in tensors.items():
        if tensor.nbytes > room:
            raise HscError(f"{path}: {name} alone has {tensor.nbytes:,} bytes; allow larger files")
        fits = (part for part in parts if sum(held.nbytes for held in part.values()) + tensor.nbytes <= room)
        if (part := next(fits, None)) is None:
            parts.append(part := {})
        part[name] = tensor
    out = Path(out)
    others = [out.with_suffix(f".{number}{out.suffix}") for number in range(2, len(parts) + 1)]
    for other, held in zip(others, parts[1:], strict=True):
        _write(other, held, {"format": FORMAT, "kind": _PART, "config": {}, "card": {}})
    named = {"format": FORMAT, "parts": {other.name: sha256(other) for other in others}} if others else {}
    _write(out, parts[0], about | named)
    return [out, *others]


def load(path: str | Path, kind: str | None = None) -> WeightsFile:
    """Read a weights file; `kind` is what it must hold, None for any kind.

    Raises HscError when the file is missing, is not a safetensors file, is truncated, was not written by hsc, comes
    from a newer hsc or holds another kind; also when a part of a split file is missing or is not the one named.
    """
    path = Path(path)
    about, stored = _read(path, kind)
    try:
        stored |= {name: stored[other] for name, other in about.get("same", {}).items()}
        tensors = from_store(stored)
    # KeyError for a missing name, RuntimeError for scales that fit no tensor
    except (KeyError, RuntimeError) as error:
        raise HscError(f"{path}: truncated or damaged safetensors file; fetch or write it again") from error
    return WeightsFile(tensors, about["kind"], about["config"], about["card"])


def _write(path: str | Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    write_atomically(path, safetensors.torch.save(dict(tensors), {_KEY: json.dumps(about)}))


def _read(path: Path, kind: str | None) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A file's checked description and its tensors as stored, including those of its parts."""
    with _opened(path) as file:
        about = _about(path, file.metadata() or {}, kind)
        stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no mapping
    for name, checksum in about.get("parts", {}).items():
        part = path.with_name(Path(name).name)
        if not part.is_file():
            raise HscError(f"{path}: the rest of it, {part.name}, is not beside it; put both into one folder")
        if sha256(part) != checksum:
            raise HscError(f"{part}: damaged, or not the rest of {path.name}; fetch or write both again")
        stored |= _read(part, _PART)[1]
    return about, stored


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file opened by safetensors."""
    if not is_safetensors(path):
        raise HscError(f"{path}: not a safetensors file; give a weights file that hsc wrote")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise HscError(f"{path}: truncated or damaged safetensors file; fetch or write it again") from error


def _pop_repeated(tensors: dict[str, Tensor]) -> dict[str, str]:
    """Remove tensors that equal others, bit for bit. Returns their names and those of the tensors that stay."""
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
    """Like `load`, without reading the tensors. Raises the same errors."""
    path = Path(path)
    with _opened(path) as file:
        about = _about(path, file.metadata() or {}, None)
    return WeightsFile({}, about["kind"], about["config"], about["card"])


def is_safetensors(path: str | Path) -> bool:
    """Whether the file begins like a safetensors file. Raises HscError when it cannot be read."""
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
    same, parts = about.get("same", {}), about.get("parts", {})
    dicts = all(isinstance(part, dict) for part in (config, card, same, parts))
    texts = dicts and all(isinstance(text, str) for text in (held, *same.values(), *parts.values()))
    if not texts:
        raise HscError(f"{path}: its description is damaged; fetch or write it again")
    if kind is not None and held != kind:
        raise HscError(f"{path}: contains weights of kind {held[:40]!r} where {kind!r} is needed; give another file")
    return about


def network_hash(network: nn.Module) -> str:
    """Hash of a network's class and weights; for one from outside hsc also of its code."""
    kind = type(network)
    digest = hashlib.sha256(kind.__qualname__.encode())
    own = kind.__module__.partition(".")[0] == "hsc"
    if not own and (file := getattr(sys.modules[kind.__module__], "__file__", None)):  # none of what was typed in
        digest.update(sha256(file).encode())
    for name, value in sorted(network.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
