"""Reading checkpoints of other projects without running anything that is in them.

A pickle is a program: it names functions and calls them. NVlabs' network pickles even carry Python source that their
own loader executes. Here a name must either belong to a short list of harmless readers (tensors, arrays, plain
containers), or to classes known to occur in checkpoints, which become `Inert` objects that store their arguments;
otherwise the file is refused.
"""

import io
import pickle
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from hsc.errors import HscError

_TORCH_STREAM = 0x1950A86A20F9469CFC6C  # the first pickle of a file by torch.save before version 1.6

_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class Inert(dict):
    """Replaces a class or function named in a pickle: it keeps its arguments, items and state, and does nothing."""

    name = ""
    args: tuple = ()
    state: Any = None

    def __new__(cls, *args: object, **kwargs: object) -> "Inert":
        made = super().__new__(cls)
        made.args = args
        return made

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__()

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)


class Array:
    """A numpy array of plain numbers inside a pickle; `tensor` is set once its state has been read."""

    tensor: Tensor

    def __init__(self, *ignored: object) -> None:
        pass

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, raw = state
        code, order = dtype.args[0], dtype.state[1]
        if not re.fullmatch(r"[fiu][1248]|b1", code):
            raise ValueError("not an array of plain numbers")
        array = np.frombuffer(raw, np.dtype(code).newbyteorder(order)).reshape(shape, order="F" if fortran else "C")
        self.tensor = torch.from_numpy(array.astype(code))


def read(path: str | Path) -> Any:
    """The content of a `.pt` (either of torch's two formats) or a plain pickle: dicts, lists, plain values, tensors on
    the CPU, `Array` and `Inert` objects.

    Raises HscError, in one line, for a missing, truncated, damaged or unknown file, and for one that would run code.
    """
    try:
        with open(path, "rb") as file:
            return _read(file, str(path))
    except FileNotFoundError as error:
        raise HscError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise HscError(f"{path}: a folder; give a weights file") from error


def read_bytes(content: bytes, name: str) -> Any:
    """Like `read`, from the content of a file called `name`."""
    return _read(io.BytesIO(content), name)


def _read(file: BinaryIO, name: str) -> Any:
    start = file.read(2)
    file.seek(0)
    try:
        if start == b"PK":
            return _read_zip(file, name)
        if start[:1] == b"\x80":
            return _read_stream(file, name)
    except HscError:
        raise
    except Exception as error:  # according to Python's documentation, a broken pickle may raise anything
        raise HscError(f"{name}: truncated or damaged checkpoint; fetch it again") from error
    raise HscError(f"{name}: neither safetensors nor a PyTorch .pt nor a pickle; give a generator's weights")


def _read_zip(file: BinaryIO, name: str) -> Any:
    """torch.save since version 1.6: a zip with one pickle and one member of raw bytes for each storage."""
    with zipfile.ZipFile(file) as archive:
        members = {member.filename: member for member in archive.infolist()}
        (program,) = (member for member in members if member.count("/") == 1 and member.endswith("/data.pkl"))
        folder = program.removesuffix("data.pkl")
        if any(member.compress_type != zipfile.ZIP_STORED for member in members.values()):
            raise HscError(f"{name}: a compressed zip, which torch.save never writes; give the original checkpoint")
        if f"{folder}byteorder" in members and archive.read(f"{folder}byteorder") != b"little":
            raise HscError(f"{name}: written on a big-endian machine; save it again on a little-endian one")
        storages: dict[str, Tensor] = {}

        def storage(dtype: torch.dtype, key: str, location: object, count: int) -> Tensor:
            if key not in storages:
                storages[key] = _numbers(archive.read(f"{folder}data/{key}"), dtype, count)
            return storages[key]

        return _Unpickler(io.BytesIO(archive.read(program)), name, storage).load()


def _read_stream(file: BinaryIO, name: str) -> Any:
    """A plain pickle, or torch.save before version 1.6: several pickles, then the raw bytes of every storage.

    Tensors are created before their numbers are read, so storages are kept by key and filled at the end.
    """
    first = _Unpickler(file, name).load()
    if first != _TORCH_STREAM:
        return first
    _Unpickler(file, name).load()  # protocol version
    if not _Unpickler(file, name).load()["little_endian"]:
        raise HscError(f"{name}: written on a big-endian machine; save it again on a little-endian one")
    here = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(here)
    storages: dict[str, Tensor] = {}

    def storage(dtype: torch.dtype, key: str, location: object, count: int, view: None) -> Tensor:
        if view is not None or count * dtype.itemsize > size:
            raise ValueError("a view, as nothing writes any more, or more numbers than the file holds")
        if key not in storages:
            storages[key] = torch.empty(count, dtype=dtype)
        return storages[key]

    content = _Unpickler(file, name, storage).load()
    for key in _Unpickler(file, name).load():
        tensor = storages[key]
        (count,) = struct.unpack("<q", file.read(8))
        tensor.copy_(_numbers(file.read(count * tensor.itemsize), tensor.dtype, len(tensor)))
    return content


def _numbers(raw: bytes, dtype: torch.dtype, count: int) -> Tensor:
    """Little-endian bytes → `count` numbers, in a tensor that owns its memory."""
    if len(raw) != count * dtype.itemsize:
        raise EOFError("numbers are missing")
    return torch.frombuffer(bytearray(raw), dtype=dtype) if raw else torch.empty(0, dtype=dtype)


def _rebuild_tensor(storage: Tensor, offset: int, size: tuple, stride: tuple, *ignored: object) -> Tensor:
    tensor = storage.as_strided(size, stride, offset)
    if tensor.numel() > storage.numel():
        raise ValueError("a tensor larger than its storage")
    return tensor


def _rebuild_parameter(data: Tensor, *ignored: object) -> Tensor:
    return data


def _encode(text: str, encoding: str) -> bytes:
    """The form in which pickles of protocol 2 hold bytes."""
    if encoding != "latin1":
        raise ValueError("not bytes")
    return text.encode("latin1")


_READERS: dict[tuple[str, str], Callable] = {
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter,
    ("_codecs", "encode"): _encode,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("numpy.core.multiarray", "_reconstruct"): Array,
    ("numpy._core.multiarray", "_reconstruct"): Array,
}
# Classes that are known to occur in checkpoints and that no weights depend on.
_INERT = re.compile(
    r"(dnnlib|torch_utils|training)(\.\w+)* \w+"
    r"|torch\.nn(\.\w+)* \w+|torch (device|Size|float16|float32|float64|int64)"
    r"|collections (OrderedDict|defaultdict)|argparse Namespace|pathlib \w*Path"
    r"|numpy (ndarray|dtype|float64|float32|int64)|numpy\._?core\.multiarray scalar"
)


class _Whole:
    """A file in which reading past the end is an error: a truncated name would look like a name to refuse."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, count: int) -> bytes:
        if len(content := self._file.read(count)) < count:
            raise EOFError("truncated")
        return content

    def readline(self) -> bytes:
        if not (line := self._file.readline()).endswith(b"\n"):
            raise EOFError("truncated")
        return line


class _Unpickler(pickle._Unpickler):
    """Builds tensors, arrays, plain values and Inert objects; refuses a file that names anything else.

    This uses Python's own unpickler rather than the one in C: there, ten damaged bytes can ask for 64 GB of memo, and a
    file could set attributes of the functions that it names.
    """

    def __init__(self, file: BinaryIO, name: str, storage: Callable[..., Tensor] | None = None) -> None:
        super().__init__(_Whole(file))
        self._name = name
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _READERS:
            return _READERS[module, name]
        if module == "torch.storage" and name == "_load_from_bytes":
            return lambda raw: _read_stream(io.BytesIO(raw), self._name)
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if module.startswith("dnnlib.tflib"):
            raise HscError(
                f"{self._name}: a TensorFlow StyleGAN pickle; convert it with NVlabs' stylegan2-ada-pytorch (legacy.py)"
            )
        if _INERT.fullmatch(f"{module} {name}"):
            return type("Inert", (Inert,), {"name": f"{module}.{name}"})
        raise HscError(
            f"{self._name}: refused, since it asks to run {f'{module}.{name}'[:80]!r}, which no weights need; "
            "use a checkpoint from a source you trust"
        )

    def load_build(self) -> None:
        if not isinstance(self.stack[-2], Inert | Array):  # type: ignore[attr-defined]
            raise ValueError("a state for something that has none")
        super().load_build()  # type: ignore[misc]

    dispatch = pickle._Unpickler.dispatch | {pickle.BUILD[0]: load_build}  # type: ignore[assignment]

    def persistent_load(self, reference: Any) -> Any:
        what, *rest = reference
        if what == "module":  # a whole network saved by torch.save, with its source beside it
            return rest[0]
        if what != "storage" or self._storage is None:
            raise ValueError("an unknown reference")
        return self._storage(*rest)
