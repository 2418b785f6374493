"""Command-line sweeps of a toy training that takes milliseconds."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from hsc.sweeps import controller
from hsc.sweeps.trials import SweepFolder

sys.path.append(str(Path(__file__).parent.parent / "cli"))
TOY = Path(__file__).with_name("toy_training.py")


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "SECONDS_BETWEEN_LOOKS", 0.02)


@pytest.fixture
def write_sweep(tmp_path: Path) -> Callable[..., Path]:
    """`write_sweep(parameters, method="grid", …)` → the sweep file of the toy."""

    def write(parameters: dict[str, Any], method: str = "grid", **more: Any) -> Path:
        content = {
            "method": method,
            "metric": {"name": "val/only/lpips", "goal": "minimize"},
            "parameters": parameters,
            "program": str(TOY),
            "command": ["${env}", "${interpreter}", "${program}", "${args}"],
        }
        file = tmp_path / "toy.yaml"
        file.write_text(yaml.safe_dump(content | more))
        return file

    return write


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    return SweepFolder(tmp_path / "sweep")
