"""Two processes that each compute their share of a step in two parts learn the same as one process that computes
it at once, also against a discriminator."""

from pathlib import Path
from typing import Any

import pytest
import torch
from programs import run_program

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two-players")
    run_program(Path(__file__).with_name("two_players.py"), folder)
    return folder


@pytest.mark.parametrize("kind", ["codec", "prior"])
def test_two_processes_learn_what_one_learns(folder: Path, kind: str):
    alone, first, second = (torch.load(folder / f"{kind}-{name}.pt") for name in ("1-0", "2-0", "2-1"))
    assert any(name.startswith("decoder.discriminator.heads.") for name in alone["weights"])
    assert {"adversarial/generator", "adversarial/real", "adversarial/fake"} <= alone["logged"].keys()
    assert floats(first["logged"]) == pytest.approx(floats(alone["logged"]), rel=1e-3, abs=1e-5)
    others = 0
    for name, value in alone["weights"].items():
        assert torch.equal(first["weights"][name], second["weights"][name]), name
        others += int((~torch.isclose(first["weights"][name], value, rtol=1e-3, atol=1e-3)).sum())
    # Where gradients vanish, Adam amplifies rounding errors.
    assert others <= 1e-4 * sum(value.numel() for value in alone["weights"].values())


def floats(values: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}
