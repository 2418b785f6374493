"""Stored networks are small and nearly exact, and storing one again changes nothing."""

from pathlib import Path

import pytest
import torch
from torch import nn

from hsc.checkpoints import weights_file
from hsc.checkpoints.storage import SCALE, as_stored, from_store, to_store
from hsc.errors import HscError


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(16, 32, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 36, 64))


def test_what_comes_back_is_nearly_what_was_stored(network: nn.Module) -> None:
    images = torch.randn(4, 16, 8, 8)
    exact, stored = network(images), as_stored(network)(images)
    assert 0 < (stored - exact).norm() < 0.02 * exact.norm()


def test_stored_again_nothing_changes(network: nn.Module) -> None:
    once = as_stored(network)
    for first, second in zip(once.parameters(), as_stored(once).parameters(), strict=True):
        torch.testing.assert_close(first, second, rtol=2e-3, atol=1e-6)


def test_large_tensors_take_a_byte_a_number(network: nn.Module) -> None:
    stored = to_store(network.state_dict())
    assert stored["3.weight"].dtype == torch.int8
    assert stored["3.weight" + SCALE].shape == (64,)
    assert stored["3.bias"].dtype == torch.float16
    assert from_store(stored).keys() == network.state_dict().keys()


def test_rows_of_zeros_stay_so() -> None:
    assert not from_store(to_store({"w": torch.zeros(64, 64)}))["w"].any()


def test_weights_files_give_back_numbers(network: nn.Module, tmp_path: Path) -> None:
    weights_file.save(tmp_path / "w.safetensors", to_store(network.state_dict()), "test", {})
    network.load_state_dict(weights_file.load(tmp_path / "w.safetensors").tensors)


def test_scales_that_fit_no_tensor_are_refused(tmp_path: Path) -> None:
    tensors = to_store({"w": torch.ones(64, 64)}) | {"w" + SCALE: torch.ones(5).half()}
    weights_file.save(tmp_path / "w.safetensors", tensors, "test", {})
    with pytest.raises(HscError, match="damaged"):
        weights_file.load(tmp_path / "w.safetensors")
