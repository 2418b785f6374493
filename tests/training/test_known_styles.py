"""Stages that learn from the W+ of generated faces (`styles`)."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from programs import run_hsc

from hsc.checkpoints import save_generator
from hsc.data.sample import Recipe, sample
from hsc.nets.stylegan2 import StyleGAN2

STAGES = {
    "styles": {
        "train": ["encoder", "heads"],
        "quantise": "none",
        "styles": 1.0,
        "losses": {key: {"l2": 0} for key in ("basic", "middle", "enhanced")},
        "steps": 60,
        "batch_size": 8,
        "learning_rate": 0.01,
    },
    "joint": {"styles": 0.1, "steps": 2},
}


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "generator.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_generator(path, StyleGAN2([16] * 4, z_dim=16, w_dim=16, mapping_layers=2))
    return path


@pytest.fixture(scope="module")
def generated(prior: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("generated") / "faces.zip"
    sample(path, 20, Recipe(truncation=(1.0, 1.0)), prior)
    return path


@pytest.fixture
def taught(experiment: Any, prior: Path, generated: Path) -> Any:
    """The tiny experiment, in two stages on generated faces."""
    content = yaml.safe_load(experiment.file.read_text())
    content["model"]["generator"]["input"] = "const"
    content["stages"], content["run"] = STAGES | {"styles": STAGES["styles"] | {"init": str(prior)}}, list(STAGES)
    content["defaults"]["data"] = {
        "path": str(generated),
        "train": "00000-00015",
        "validation": "00016-00019",
        "flips": False,
    }
    experiment.file.write_text(yaml.safe_dump(content, sort_keys=False))
    return experiment


def test_an_encoder_finds_the_styles_of_generated_faces(taught: Any) -> None:
    assert run_hsc("train", taught.file) == 0
    distances = [row["train/enhanced/styles"] for row in taught.training_rows("styles")]
    assert distances[-1] < 0.5 * distances[0]
    logged = set().union(*taught.training_rows("joint"))
    assert {f"train/{layer}/styles" for layer in ("basic", "middle", "enhanced")} <= logged


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["defaults.data.flips=true"], "stages.styles.data.flips: a mirrored face does not match its W+"),
        (["stages.styles.layer_weights={enhanced: 0}"], "needs a task of its last layer 'enhanced'"),
        (["stages.joint.module=prior", "stages.joint.train=[generator]"], "stages.joint.styles: only codec stages"),
        (["defaults.data={path: PHOTOGRAPHS, train: 00-15, validation: 16-19}"], "holds no W+ of its images"),
        (
            [
                "model.generator={channels: [16, 16, 16, 16, 16], w_dim: 8}",
                "model.layers.enhanced.rows=4",
                "model.encoder.channels=[16, 16, 16, 16, 16]",
            ],
            "the W+ of its images has 8 × 16 numbers, but the model's 10 × 8; write the set with `hsc data sample",
        ),
    ],
)
def test_what_cannot_work_is_refused(
    words: list[str], said: str, taught: Any, faces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_hsc("train", taught.file, *(word.replace("PHOTOGRAPHS", f"'{faces}'") for word in words)) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line
    assert not taught.runs.exists()
