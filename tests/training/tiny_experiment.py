"""An experiment that trains in seconds: an adversarial prior, one layer, then all of them jointly."""

import csv
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from safetensors.torch import load_file
from tiny_model import LAYERS, tiny_model
from torch import Tensor

STAGES = {
    "prior": {
        "module": "prior",
        "train": ["generator", "mapping", "discriminator"],
        "adversarial": {"r1_every": 2, "ada_kimg": 0.05},
        "steps": 5,
    },
    "basic": {"layers": ["basic"], "steps": 3},
    "joint": {"train": ["encoder", "gain", "entropy", "heads", "generator"], "round_after": 0.6, "steps": 6},
}


class Experiment(NamedTuple):
    """An experiment's file, and the folder of its runs."""

    file: Path
    runs: Path

    def folder(self, name: str = "tiny") -> Path:
        return self.runs / name

    def weights(self, stage: str, name: str = "tiny") -> dict[str, Tensor]:
        return load_file(self.folder(name) / stage / "weights.safetensors")

    def rows(self, stage: str, name: str = "tiny") -> list[dict[str, float]]:
        """The logged rows of a stage, over all its starts: the values of a step by name."""
        logs = sorted((self.folder(name) / stage / "log").glob("*/metrics.csv"))
        rows = [row for log in logs for row in csv.DictReader(log.read_text().splitlines())]
        return [{name: float(value) for name, value in row.items() if value} for row in rows]

    def training_rows(self, stage: str, name: str = "tiny") -> list[dict[str, float]]:
        """The rows of training steps."""
        return [row for row in self.rows(stage, name) if "train/objective" in row]

    def take(self, other: "Experiment", *stages: str) -> None:
        """Copy these stages from the other experiment."""
        for stage in stages:
            shutil.copytree(other.folder() / stage, self.folder() / stage)

    def done(self, stage: str, name: str = "tiny") -> dict[str, Any]:
        return json.loads((self.folder(name) / stage / "done.json").read_text())


def write_experiment(faces: Path, folder: Path) -> Experiment:
    """prior → basic → joint on a model of 32×32 pixels; saved every other step, validated every third."""
    content: dict[str, Any] = {
        "name": "tiny",
        "runs": str(folder / "runs"),
        "model": asdict(tiny_model()),
        "judges": {"identity": "none", "landmarks": "none", "perceptual": ["psnr"]},
        "logging": {"wandb": "disabled"},
        "defaults": {
            "data": {"path": str(faces), "train": "00-15", "validation": "16-19"},
            "losses": {layer: {"l2": 1} for layer in LAYERS},
            "precision": "32-true",
            "batch_size": 4,
            "warmup": 2,
            "ema_kimg": 0.01,
            "save_every": 2,
            "validate_every": 3,
            "log_every": 1,
        },
        "stages": STAGES,
        "run": list(STAGES),
    }
    (folder / "tiny.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return Experiment(folder / "tiny.yaml", folder / "runs")
