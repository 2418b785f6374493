"""Every device: networks stay on it, coding synchronises with it as rarely as possible, files are the same."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from tiny_model import SIZE, tiny_codec, tiny_linear_model, tiny_model, tiny_model_with_blocks
from torch import Tensor
from torch.overrides import TorchFunctionMode

import hsc
from hsc.codec import Codec
from hsc.config import ModelConfig
from hsc.devices import find_device
from hsc.errors import HscError
from hsc.nets import build
from hsc.nets.heads import decode
from hsc.nets.levels import at_quality

SYNCHRONISING = {"cpu", "item", "tolist", "numpy", "__bool__", "__float__", "__int__", "__array__", "nonzero"}


class Leaving(TorchFunctionMode):
    """Records calls that make a program wait for an accelerator: reading values and moving tensors to the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def __torch_function__(self, func: Callable, types: Any, args: Any = (), kwargs: dict | None = None) -> Any:
        name = getattr(func, "__name__", "")
        to_cpu = name == "to" and any(isinstance(arg, str) and arg == "cpu" for arg in args[1:])
        if (name in SYNCHRONISING and isinstance(args[0], Tensor)) or to_cpu:
            self.calls.append(name)
        return func(*args, **(kwargs or {}))


@contextmanager
def leaving() -> Iterator[list[str]]:
    with Leaving() as mode:
        yield mode.calls


@pytest.fixture(scope="module")
def codec() -> Codec:
    return tiny_codec(fineness=3.0)[0]


FACES = torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("make_model", [tiny_model, tiny_linear_model, tiny_model_with_blocks])
def test_networks_make_nothing_elsewhere(make_model: Callable[[], ModelConfig], monkeypatch: pytest.MonkeyPatch):
    """On the meta device, a tensor that a network creates on the CPU cannot be combined with the others."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # not supported on the meta device
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *_: False)
    model = make_model()
    with torch.device("meta"):
        networks = build.build_encoder(model), build.build_gain(model), build.build_heads(model)
        generator = build.build_generator(model)
    encoder, gain, heads = networks
    latents = encoder(torch.empty(2, 3, SIZE, SIZE, device="meta"))
    quality = torch.empty(2, device="meta")
    assert all(layer.device.type == "meta" for layer in latents)
    assert gain.rows(quality, range(3)).device.type == "meta"
    shown = decode(heads, generator, latents, quality)
    assert (shown.device.type, shown.shape) == ("meta", (2, 3, SIZE, SIZE))
    assert at_quality(torch.empty(4, 5, device="meta"), quality).device.type == "meta"


def test_showing_waits_for_nothing_and_coding_once_a_layer(codec: Codec):
    with leaving() as calls:
        latents = codec.analyse(FACES)
    assert calls == ["__bool__"], "one question: are all latents finite"
    decoded = codec.decode(codec.encode(latents))
    with leaving() as calls:
        codec.synthesise(decoded.latents, decoded.quality)
    assert not calls
    with leaving() as calls:
        codec.encode(latents, 0.5)
    assert calls.count("cpu") <= 3 * len(codec.layers)
    with leaving() as of_one:
        codec.encode([layer[:1] for layer in latents], 0.5)
    assert of_one.count("cpu") == calls.count("cpu"), "not once a face"


def test_devices_that_are_not_there_are_named():
    assert find_device("cpu") == torch.device("cpu")
    assert find_device("auto").type in ("cpu", torch.accelerator.current_accelerator(True) or "cpu")
    for wrong in ("cuda:99", "nowhere", "xpu:7"):
        with pytest.raises(HscError, match=rf"no device '{wrong}' on this machine; there is: cpu"):
            hsc.load(device=wrong)


@pytest.mark.cuda
def test_files_are_the_same_on_an_accelerator(codec: Codec):
    latents = codec.analyse(FACES)
    expected = codec.encode(latents, 0.5)
    there, entropy = tiny_codec(fineness=3.0)
    there = Codec.export(there.model, there.to("cuda").networks, entropy.to("cuda"))  # as training does
    assert there.device.type == "cuda"
    assert there.model_id == codec.model_id
    assert there.encode([layer.cuda() for layer in latents], 0.5).files == expected.files
    for here, elsewhere in zip(codec.decode(expected).symbols, there.decode(expected.files).symbols, strict=True):
        assert torch.equal(here, elsewhere)
    shown = torch.stack(there.decompress(there.compress(FACES, bytes=60)))
    assert shown.device.type == "cuda"
    torch.testing.assert_close(
        torch.stack(there.decompress(expected.files)).cpu(),
        torch.stack(codec.decompress(expected.files)),
        rtol=1e-3,
        atol=1e-3,
    )
