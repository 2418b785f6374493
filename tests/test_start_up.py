"""Commands start fast: they import only what they need, and keep freed memory where the C library allows it."""

import ctypes
import json
import subprocess
import sys
from pathlib import Path

import pytest
from pictures import write_pictures

from hsc.cli.memory import keep_freed_memory

SLOW = {
    *("dlib", "insightface", "lpips", "matplotlib", "onnxruntime", "pytorch_lightning", "scipy", "sklearn"),
    *("torchmetrics", "torchvision", "wandb"),
}


def imported(code: str) -> set[str]:
    """Packages that a fresh process has imported after `code`."""
    report = "import sys, json; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_command_line_and_the_package_import_nothing_slow():
    packages = imported("import hsc, hsc.cli")
    assert {"hsc", "typer"} <= packages
    assert not packages & {"torch", "numpy", "PIL", "omegaconf", *SLOW}


def after_command(*words: str) -> str:
    """A program that runs `hsc WORDS`, which must succeed."""
    return f"from hsc.cli import main\ntry: main({list(words)})\nexcept SystemExit as ended: assert not ended.code"


def test_the_help_of_a_verb_and_a_look_at_the_machine_import_nothing_slow():
    assert not imported(after_command("train", "--help")) & {"torch", "numpy", *SLOW}
    large = {"pytorch_lightning", "torchmetrics", "torchvision", "wandb", "lpips"}
    assert not imported(after_command("doctor")) & large


def test_encoding_imports_nothing_slow_but_torch(tmp_path: Path):
    (face,) = write_pictures(tmp_path / "faces", 1, 64).iterdir()
    packages = imported(after_command("encode", str(face)))
    assert face.with_suffix(".hsc").exists()
    assert "torch" in packages
    assert not packages & SLOW


def test_judges_and_losses_import_nothing_slow_but_torch():
    assert not imported("import hsc.judges, hsc.losses") & SLOW


@pytest.fixture
def mallopt(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Calls to a stand-in for the C library, which refuses the thresholds that old releases refuse."""
    told: list[tuple[int, int]] = []

    class Library:
        gnu_get_libc_version = None

        def __init__(self, name: None) -> None: ...

        def mallopt(self, parameter: int, value: int) -> int:
            told.append((parameter, value))
            return int(parameter != -3 or value <= 1 << 25)

    monkeypatch.setattr(ctypes, "CDLL", Library)
    return told


def test_thresholds_are_raised_as_far_as_the_library_goes(mallopt: list, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HSC_MALLOPT", raising=False)
    assert keep_freed_memory()
    assert mallopt == [(-1, 2**31 - 1), (-3, 1 << 30), (-3, 1 << 25)]


def test_the_environment_turns_it_off(mallopt: list, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HSC_MALLOPT", "0")
    assert not keep_freed_memory()
    assert not mallopt


@pytest.mark.parametrize("attributes", [{}, {"mallopt": print}])
def test_other_libraries_are_left_alone(attributes: dict, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HSC_MALLOPT", raising=False)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: type("Library", (), attributes))
    assert not keep_freed_memory()
