"""The README runs from top to bottom, word for word, on a machine that has only the result of `make env`.

The home folder is empty and there is no data set. Only training and measurements are shorter: the copied experiments
have fewer steps, and sitecustomize.py adds options to `hsc evaluate`.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from test_documentation import ROOT, commands

from hsc.files import weights_dir

pytestmark = pytest.mark.slow
LEFT_TO_OTHERS = {"make test"}  # this test is part of it
WEIGHTS = ("alexnet.safetensors", "vgg16.safetensors", "faceres.safetensors")  # fetched by `make env`
RESULTS = (
    "runs/quickstart-short/walkthrough/layers.png",
    "runs/quickstart-short/walkthrough/comparison/index.html",
    "runs/quickstart/codec.safetensors",
    "runs/smoke/best/codec.safetensors",
    "runs/finetune/codec.safetensors",
    "coded/female-01.hsc",
    "layers.png",
    "comparison/index.html",
)
SETTINGS = re.compile("HSC_|WANDB_|PYTEST_|XDG_")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A checkout, with the environment that runs this test in place of the one that `make env` would create."""
    if missing := [name for name in WEIGHTS if not (weights_dir() / name).is_file()]:
        pytest.skip(f"needs {', '.join(missing)}: hsc weights fetch")
    checkout = tmp_path / "machine" / "checkout"
    checkout.mkdir(parents=True)
    for name in ("README.md", "Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, checkout)
    (checkout / "hsc").symlink_to(ROOT / "hsc")
    for name in ("experiments", "sweeps"):
        shutil.copytree(ROOT / name, checkout / name)
    shorten(checkout / "experiments" / "quickstart.yaml", ["basic", "joint"], wandb="auto")
    shorten(checkout / "experiments" / "finetune.yaml", ["finetune", "decoder"], wandb="disabled")
    shorten_sweep(checkout / "sweeps" / "smoke.yaml")
    (checkout / "sitecustomize.py").write_text(SHORT_MEASUREMENTS)
    (checkout / ".venv").mkdir()
    for part in Path(sys.prefix).iterdir():
        if part.name != ".ready":
            (checkout / ".venv" / part.name).symlink_to(part)
    (checkout / ".venv" / ".ready").touch()
    home = tmp_path / "machine" / "home"
    (home / ".cache" / "hsc").mkdir(parents=True)
    (home / ".cache" / "hsc" / "weights").symlink_to(weights_dir())
    return checkout


# A few generated faces, and fewer components than faces.
FACES = {"path": "generated:32", "train": "00001-00031", "validation": "00000-00000"}
DIMS = (2, 2, 1)
SHORT_MEASUREMENTS = """
import sys

if sys.argv[0].endswith("/hsc") and sys.argv[1:2] == ["evaluate"]:
    sys.argv += ["--limit", "1"] + ([] if "--qualities" in sys.argv else ["--qualities", "0,8"])
"""


def shorten(experiment: Path, stages: list[str], wandb: str) -> None:
    """A few steps of a few faces each, in some of the stages."""
    content = yaml.safe_load(experiment.read_text())
    content["run"], content["logging"] = stages, {"wandb": wandb}
    content["defaults"]["batch_size"] = 4
    for stage in content["stages"].values():
        stage["steps"] = 2
        stage.pop("batch_size", None)
    content["defaults"]["data"]["validation_limit"] = 1
    if content["defaults"]["data"]["path"].startswith("generated:"):
        content["defaults"]["data"] |= FACES
        for layer, dim in zip(content["model"]["layers"].values(), DIMS, strict=True):
            layer["dim"] = dim
    experiment.write_text(yaml.safe_dump(content, sort_keys=False))


def shorten_sweep(sweep: Path) -> None:
    """Two trials of the shortened experiment."""
    content = yaml.safe_load(sweep.read_text())
    few = {f"defaults.data.{key}": value for key, value in FACES.items()}
    few |= {"logging.wandb": "disabled", "defaults.batch_size": 4, "stages.basic.steps": 2, "stages.joint.steps": 3}
    content["parameters"] |= {name: {"value": value} for name, value in few.items()}
    content["parameters"]["stages.joint.learning_rate"]["values"].pop()
    sweep.write_text(yaml.safe_dump(content, sort_keys=False))


def test_every_command_in_turn(machine: Path):
    lines = [line for line in commands("README.md") if line not in LEFT_TO_OTHERS]
    script = "\n".join(["set -euxo pipefail", *lines])
    environment = {name: value for name, value in os.environ.items() if not SETTINGS.match(name)}
    environment |= {"HOME": str(machine.parent / "home"), "PYTHONPATH": str(machine), "QUICKSTART_STEPS": "short"}
    ended = subprocess.run(
        ["bash", "-c", script],
        cwd=machine,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-6000:]
    assert "Traceback" not in ended.stdout
    for result in RESULTS:
        assert (machine / result).exists(), result
