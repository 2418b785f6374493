"""Reading an untrusted checkpoint executes none of its code, and a damaged one is refused with a one-line error."""

import argparse
import functools
import io
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nvlabs_pickle import network_pickle
from torch import Tensor, nn

from hsc.checkpoints import safe_unpickle
from hsc.errors import HscError

TENSORS = {
    "weight": torch.arange(24.0).reshape(2, 3, 4),
    "turned": torch.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1),
    "half": torch.linspace(-1, 1, 7).half(),
    "brain": torch.linspace(-1, 1, 7).bfloat16(),
    "double": torch.linspace(-1, 1, 3).double(),
    "counts": torch.arange(5),
    "flags": torch.tensor([True, False]),
    "scalar": torch.tensor(0.25),
    "nothing": torch.empty(0, 3),
}
TENSORS["part"] = TENSORS["double"][1:]  # shares memory with "double"


def zip_bytes(content: object) -> bytes:
    torch.save(content, file := io.BytesIO())
    return file.getvalue()


def stream_bytes(content: object) -> bytes:
    torch.save(content, file := io.BytesIO(), _use_new_zipfile_serialization=False)
    return file.getvalue()


WRITERS: dict[str, Callable[[object], bytes]] = {"zip": zip_bytes, "stream": stream_bytes, "pickle": pickle.dumps}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint"


def assert_same_tensors(read: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert dict(read).keys() == expected.keys()
    for name, tensor in expected.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor), name


@pytest.mark.parametrize("writer", WRITERS)
def test_tensors_and_plain_values_are_read(file: Path, writer: str) -> None:
    plain = {"step": 3, "names": ["a", ("b", None)], "rate": 1e-3, "set": {1, 2}, "bytes": b"\xff\x00"}
    state = OrderedDict(TENSORS)
    parameter = nn.Parameter(torch.ones(2))
    options = argparse.Namespace(lr=0.1, out=Path("x"))
    content = {"state": state, "plain": plain, "parameter": parameter, "options": options, "size": torch.Size([1])}
    file.write_bytes(WRITERS[writer](content))
    read = safe_unpickle.read(file)
    assert_same_tensors(read["state"], TENSORS)
    assert read["plain"] == plain
    assert torch.equal(read["parameter"], torch.ones(2))
    assert not read["parameter"].requires_grad
    assert read["options"].state["lr"] == 0.1
    assert isinstance(read["options"].state["out"], safe_unpickle.Inert)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<i8", "|b1", "<f2"])
def test_numpy_arrays(file: Path, dtype: str, protocol: int) -> None:
    array = (np.arange(12).reshape(3, 4) % 5).astype(dtype)
    file.write_bytes(pickle.dumps([array, np.asfortranarray(array), array[0, 0]], protocol))
    plain, fortran, _ = safe_unpickle.read(file)
    assert plain.tensor.tolist() == array.tolist()
    assert fortran.tensor.tolist() == array.tolist()


@pytest.mark.parametrize("values", [[{}], [print], [1.5, "text"]])
def test_arrays_of_objects_are_refused(file: Path, values: list) -> None:
    file.write_bytes(pickle.dumps(np.array(values, dtype=object)))
    assert_refused(file, "truncated or damaged|refused")


def test_bytes_are_read_as_their_file_is() -> None:
    read = safe_unpickle.read_bytes(pickle.dumps({"Conv_0": {"kernel": np.ones((2, 3), "f4")}}), "alexnet.ckpt")
    assert torch.equal(read["Conv_0"]["kernel"].tensor, torch.ones(2, 3))
    with pytest.raises(HscError, match=r"^alexnet\.ckpt: refused"):
        safe_unpickle.read_bytes(pickle.dumps(print), "alexnet.ckpt")


# --- hostile files --------------------------------------------------------------------------------------------------


class Call:
    """An object that is pickled as a call of a given function."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.function, self.arguments, self.state = function, arguments, state

    def __reduce__(self) -> tuple:
        return (self.function, self.arguments, self.state)[: 2 if self.state is None else 3]


CANARY = "HSC_TEST_CANARY"
SET_CANARY = f"import os; os.environ['{CANARY}'] = 'sung'"

CALLS: dict[str, tuple[Any, ...]] = {
    "os.system": (os.system, f"exit 3 # {CANARY}"),
    "builtins.eval": (eval, f"__import__('os').environ.__setitem__('{CANARY}', 'sung')"),
    "builtins.exec": (exec, SET_CANARY),
    "builtins.getattr": (getattr, "x", "upper"),
    "functools.partial": (functools.partial, print, "hello"),
    "pickle.loads": (pickle.loads, b"N."),
    "torch.load": (torch.load, "/dev/null"),
    "torch.jit": (torch.jit.load, "/dev/null"),
    "_io.FileIO": (io.FileIO, "/dev/null"),
}


@pytest.fixture(autouse=True)
def silent_canary(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv(CANARY, raising=False)
    yield
    assert CANARY not in os.environ


def assert_refused(path: Path, message: str) -> None:
    with pytest.raises(HscError, match=message) as caught:
        safe_unpickle.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("writer", WRITERS)
def test_calls_are_refused(file: Path, call: str, writer: str) -> None:
    file.write_bytes(WRITERS[writer]({"g_ema": {"weight": Call(*CALLS[call])}}))
    assert_refused(file, "refused, since it asks to run '[a-z_.]+")


@pytest.mark.parametrize("protocol", [2, 4])
def test_calls_inside_tensors_are_refused(file: Path, protocol: int) -> None:
    """The bytes of a tensor are themselves a pickle, which can contain further pickles."""
    inner = stream_bytes(Call(exec, SET_CANARY))
    nested = pickle.dumps(Call(torch.storage._load_from_bytes, inner))
    storage = Call(torch.storage._load_from_bytes, nested)
    tensor = Call(torch._utils._rebuild_tensor_v2, storage, 0, (1,), (1,), False, OrderedDict())
    file.write_bytes(pickle.dumps({"G_ema": tensor}, protocol))
    assert_refused(file, "asks to run 'builtins.exec'|asks to run '__builtin__.exec'")


def test_calls_inside_known_objects_are_refused(file: Path) -> None:
    file.write_bytes(network_pickle({"synthesis.b4.const": torch.ones(1)}, extra=Call(exec, SET_CANARY)))
    assert_refused(file, "asks to run 'builtins.exec'")


@pytest.mark.parametrize("state", [{"__defaults__": (0,)}, (None, {"__name__": "x"})])
def test_functions_keep_their_attributes(file: Path, state: object) -> None:
    before = safe_unpickle._rebuild_parameter.__name__, safe_unpickle._rebuild_parameter.__defaults__
    # GLOBAL, the state, BUILD, STOP: set attributes of the object that the global resolved to.
    program = b"\x80\x02ctorch._utils\n_rebuild_parameter\n" + pickle.dumps(state, 2)[2:-1] + b"b."
    file.write_bytes(program)
    assert_refused(file, "truncated or damaged")
    assert (safe_unpickle._rebuild_parameter.__name__, safe_unpickle._rebuild_parameter.__defaults__) == before


def test_tensorflow_pickle_is_named(file: Path) -> None:
    file.write_bytes(b"\x80\x03cdnnlib.tflib.network\nNetwork\n)\x81.")
    assert_refused(file, "a TensorFlow StyleGAN pickle; convert it")


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [((9,), (1,), 0), ((2,), (1,), 3), ((1000, 1000), (0, 0), 0), ((2,), (-1,), 2), ((2,), (1,), -1)],
)
def test_tensors_outside_their_storage(file: Path, size: tuple, stride: tuple, offset: int) -> None:
    storage = torch.arange(4.0).untyped_storage()
    typed = torch.storage.TypedStorage(wrap_storage=storage, dtype=torch.float32, _internal=True)
    tensor = Call(torch._utils._rebuild_tensor_v2, typed, offset, size, stride, False, OrderedDict())
    file.write_bytes(pickle.dumps(tensor))
    assert_refused(file, "truncated or damaged")


def test_memo_bomb(file: Path) -> None:
    """LONG_BINPUT into slot 2³²−1, for which the C unpickler allocates 64 GB."""
    file.write_bytes(b"\x80\x02Nr\xff\xff\xff\xff.")
    assert safe_unpickle.read(file) is None


def test_huge_storage_in_a_small_file(file: Path) -> None:
    content = stream_bytes(torch.zeros(3))
    assert content.count(b"K\x03") >= 1
    file.write_bytes(content.replace(b"K\x03Nt", b"\x8a\x05\x00\x00\x00\x00\x40Nt"))
    assert_refused(file, "truncated or damaged")


def test_compressed_zip(file: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(zip_bytes(TENSORS))) as plain, zipfile.ZipFile(file, "w") as packed:
        for member in plain.infolist():
            packed.writestr(member.filename, plain.read(member), compress_type=zipfile.ZIP_DEFLATED)
    assert_refused(file, "a compressed zip")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n", b"cos\nsystem\n(S'true'\ntR.", b"PK\x03\x04", b"\x80"])
def test_other_files(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert_refused(file, "neither safetensors nor|truncated or damaged")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert_refused(tmp_path / "nothing", "no such file")
    assert_refused(tmp_path, "a folder; give a weights file")


# --- damage ---------------------------------------------------------------------------------------------------------

SNAPSHOT = {
    "zip": zip_bytes({"g_ema": TENSORS}),
    "stream": stream_bytes({"g_ema": TENSORS}),
    "nvlabs": network_pickle({name: tensor for name, tensor in TENSORS.items() if tensor.is_floating_point()}),
    "numpy": pickle.dumps({"G_ema": {"a": np.arange(6.0)}}, 4),
}
quick = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("kind", SNAPSHOT)
@quick
@given(share=st.floats(0, 1, exclude_max=True))
def test_truncation_anywhere(file: Path, kind: str, share: float) -> None:
    content = SNAPSHOT[kind]
    file.write_bytes(content[: int(share * len(content))])
    assert_refused(file, "neither safetensors nor|truncated or damaged")


@pytest.mark.parametrize("kind", SNAPSHOT)
@quick
@given(data=st.data())
def test_damage_anywhere_is_read_or_refused(file: Path, kind: str, data: st.DataObject) -> None:
    content = bytearray(SNAPSHOT[kind])
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(content)
    message = ""
    try:
        safe_unpickle.read(file)
    except HscError as error:
        message = str(error)
    assert "\n" not in message
