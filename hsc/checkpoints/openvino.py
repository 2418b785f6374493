"""Networks in OpenVINO's format (IR version 10), read as data: an XML description and a file of constants.

Nothing is executed, the description must not declare entities, and every constant is checked against the file's length.
"""

import math
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hsc.errors import HscError

_ITEM_SIZES = {"f32": 4, "f16": 2, "i64": 8, "i32": 4, "u8": 1, "i8": 1, "boolean": 1}
_LONGEST = {".xml": 16 * 2**20, ".bin": 512 * 2**20}  # bytes that a member of an archive may unpack to


class Network(NamedTuple):
    """A graph of layers, by their ids.

    kinds: such as "Convolution" · constants: name and values of every floating-point constant · inputs: of each layer,
    in the order of its ports · users: the layers that take a layer's output.
    """

    kinds: dict[str, str]
    constants: dict[str, tuple[str, Tensor]]
    inputs: dict[str, list[str]]
    users: dict[str, list[str]]

    def constant(self, layer: str) -> str | None:
        """The id of the only floating-point constant among a layer's inputs; None if there is not exactly one."""
        found = [one for one in self.inputs.get(layer, []) if one in self.constants]
        return found[0] if len(found) == 1 else None

    def before(self, layer: str) -> Iterator[str]:
        """The layers that produce a layer's data, nearest first, following each one's first input that is not a
        constant.
        """
        seen: set[str] = set()
        while layer not in seen:
            seen.add(layer)
            data = [one for one in self.inputs.get(layer, []) if self.kinds.get(one) != "Const"]
            if not data:
                return
            yield (layer := data[0])


def is_archive(path: str | Path, names: tuple[str, ...]) -> bool:
    """Whether the file is a zip or wheel with a description of one of the networks."""
    try:
        with zipfile.ZipFile(path) as archive:
            return bool({f"{name}.xml" for name in names} & {Path(member).name for member in archive.namelist()})
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False


def read_archive(path: str | Path, names: tuple[str, ...]) -> list[Network]:
    """The networks of those names in a zip or wheel. Raises HscError, in one line, for members that are missing,
    damaged or longer than such a file can be.
    """
    networks = []
    for name in names:
        description, constants = (_member(path, name + ending, longest) for ending, longest in _LONGEST.items())
        networks.append(read(description, constants, f"{path}: {name}"))
    return networks


def _member(path: str | Path, name: str, longest: int) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            info = next((info for info in archive.infolist() if Path(info.filename).name == name), None)
            if info is None:
                raise HscError(f"{path}: holds no {name}; give the whole package")
            if info.file_size > longest:
                raise HscError(f"{path}: {name} is larger than {longest >> 20} MB, which no such network is")
            return archive.read(info)
    except HscError:
        raise
    except Exception as error:  # zipfile and its decompressors raise many kinds
        raise HscError(f"{path}: {name} is truncated or damaged; fetch the package again") from error


def read(description: bytes, constants: bytes, name: str) -> Network:
    """The network that the XML and the constants describe; `name`: its name in messages. Raises HscError, in one line,
    for files that are damaged, declare entities, or point outside the constants.
    """
    try:
        root = ElementTree.fromstring(description, ElementTree.XMLParser(target=_Tree(name)))
        return _network(root, constants)
    except HscError:
        raise
    except (ElementTree.ParseError, KeyError, ValueError, LookupError, TypeError) as error:
        raise HscError(f"{name}: truncated or damaged description of a network; fetch it again") from error


class _Tree(ElementTree.TreeBuilder):
    """Refuses document types, since only they can declare entities."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise HscError(f"{self._name}: declares a document type, which no network's description needs")


def _network(root: ElementTree.Element, content: bytes) -> Network:
    layers = root.findall("layers/layer")
    network = Network({layer.attrib["id"]: layer.attrib["type"] for layer in layers}, {}, {}, {})
    if root.tag != "net" or not layers or len(network.kinds) < len(layers):
        raise ValueError("no network")
    for layer in layers:
        if layer.attrib["type"] == "Const":
            values = _values(layer.find("data").attrib, content)  # type: ignore[union-attr]
            if values is not None:
                network.constants[layer.attrib["id"]] = layer.attrib["name"], values
    ports: dict[str, dict[int, str]] = {}
    for edge in root.findall("edges/edge"):
        start, end = edge.attrib["from-layer"], edge.attrib["to-layer"]
        if not {start, end} <= network.kinds.keys():
            raise ValueError("an edge of no layer")
        ports.setdefault(end, {})[int(edge.attrib["to-port"])] = start
        network.users.setdefault(start, []).append(end)
    network.inputs.update({layer: [given[port] for port in sorted(given)] for layer, given in ports.items()})
    return network


def _values(about: dict[str, str], content: bytes) -> Tensor | None:
    """A constant's numbers; None for integers, which only parametrise reshapes."""
    shape = [int(side) for side in about["shape"].split(",") if side.strip()]
    offset, size = int(about["offset"]), int(about["size"])
    expected = math.prod(shape) * _ITEM_SIZES[about["element_type"]]
    if min(shape, default=1) < 1 or offset < 0 or size != expected or offset + size > len(content):
        raise ValueError("a constant outside the file")
    if about["element_type"] != "f32":
        return None
    values = torch.from_numpy(np.frombuffer(content, "<f4", size // 4, offset).reshape(shape).copy())
    if not bool(values.isfinite().all()):
        raise ValueError("numbers that are not finite")
    return values
