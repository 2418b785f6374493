"""How the Trainer of a stage applies its configuration: clipping, compiling, checkpoints that cannot be written."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from tiny_model import SIZE, tiny_config
from torch.utils.data import DataLoader

from hsc.losses import load_losses
from hsc.modules.codec import CodecModule
from hsc.training.callbacks import CompiledNetworks
from hsc.training.checkpoints import SafeCheckpoints, newest_checkpoint
from hsc.training.stage import MODULES
from hsc.training.trainer import build_trainer, resolve_precision

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")


class Norms(pl.Callback):
    """The gradient norm of each step."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_before_zero_grad(self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer) -> None:
        gradients = [weight.grad for weight in pl_module.parameters() if weight.grad is not None]
        if gradients:
            self.seen.append(float(torch.linalg.vector_norm(torch.cat([g.flatten() for g in gradients]))))


class Batches(torch.utils.data.IterableDataset):
    def __iter__(self):
        random = torch.Generator().manual_seed(0)
        while True:
            yield {"image": torch.rand(4, 3, SIZE, SIZE, generator=random) * 2 - 1, "name": list("abcd")}


@pytest.fixture
def fit(tmp_path: Path) -> Callable[..., CodecModule]:
    """`fit(callback, field=value, …)` trains three steps of a stage with these fields."""

    def run(callback: pl.Callback, **fields) -> CodecModule:
        torch.manual_seed(0)
        config = tiny_config(steps=3, log_every=1, precision="32-true", **fields)
        config.device = "cpu"
        stage = config.stages["only"]
        module = CodecModule(config, stage, load_losses(["l2"]))
        trainer = build_trainer(config, "only", tmp_path, [], [callback], [])
        trainer.fit(module, DataLoader(Batches(), batch_size=None))
        return module

    return run


@pytest.mark.parametrize("grad_clip", [0.0, 0.01])
def test_gradients_are_clipped(fit: Callable, grad_clip: float):
    norms = Norms()
    fit(norms, grad_clip=grad_clip)
    assert len(norms.seen) == 2  # of all steps but the last
    if grad_clip:
        assert norms.seen == pytest.approx([grad_clip] * 2, rel=1e-3)
    else:
        assert min(norms.seen) > 0.02


def test_without_a_compiler_training_goes_on_and_says_so(fit: Callable, monkeypatch: pytest.MonkeyPatch):
    def no_compiler(*_, **__):
        raise RuntimeError("\nNo working C++ compiler found in CXX")

    monkeypatch.setattr(torch, "compile", no_compiler)
    with pytest.warns(UserWarning, match=r"it needs a C\+\+ compiler such as g\+\+ \(No working .* trains without it"):
        module = fit(Norms(), compile=True)
    assert int(module.batches_seen) == 3
    assert not any(network._compiled_call_impl for network in module.networks_to_compile())


@pytest.mark.parametrize("kind", MODULES)
def test_networks_of_every_kind_of_stage_are_compiled(kind: str, monkeypatch: pytest.MonkeyPatch):
    config = tiny_config(module=kind, train=["generator"])
    if kind == "image_head":
        config.model.generator.architecture = "mobilestylegan"
    module = MODULES[kind](config, config.stages["only"], load_losses(["l2"]), 0)
    compiled = []
    monkeypatch.setattr("hsc.training.callbacks.why_not_compiled", lambda device: "")
    monkeypatch.setattr(torch.nn.Module, "compile", lambda network, **_: compiled.append(network))
    CompiledNetworks().on_fit_start(pl.Trainer(logger=False, accelerator="cpu"), module)
    assert compiled
    assert all(network in list(module.modules()) for network in compiled)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiles C++")
def test_compiled_networks_learn_the_same(fit: Callable, tmp_path: Path):
    torch.compiler.reset()
    compiled, plain = fit(Norms(), compile=True), fit(Norms())
    assert all(network._compiled_call_impl for network in compiled.networks_to_compile())
    expected = plain.state_dict()
    assert compiled.state_dict().keys() == expected.keys()
    for name, value in compiled.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-3)


def test_a_full_disk_costs_no_checkpoint_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def save(step: int) -> None:
        SafeCheckpoints().save_checkpoint({"state_dict": {"batches_seen": torch.tensor(step)}}, tmp_path / "last.ckpt")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    save(1)
    save(2)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        for step in (3, 4):
            with pytest.warns(UserWarning, match=f"no checkpoint of step {step}: .*No space left.*; the one before is"):
                save(step)
    assert newest_checkpoint(tmp_path) == (tmp_path / "previous.ckpt", 2)
    assert len(list(tmp_path.iterdir())) == 1
    save(5)
    assert newest_checkpoint(tmp_path) == (tmp_path / "last.ckpt", 5)


@pytest.mark.parametrize(
    ("asked", "avx512_bf16", "amx", "expected"),
    [
        ("auto", False, False, "32-true"),
        ("auto", True, False, "bf16-mixed"),
        ("auto", False, True, "bf16-mixed"),
        ("32-true", True, True, "32-true"),
    ],
)
def test_automatic_precision_is_what_the_processor_computes_natively(
    monkeypatch: pytest.MonkeyPatch, asked: str, avx512_bf16: bool, amx: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert resolve_precision(asked, "cpu") == expected
