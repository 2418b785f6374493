"""Every YAML file in experiments/ and sweeps/ describes a training that can start."""

from collections.abc import Iterable
from pathlib import Path

import pytest
import torch

from hsc import config as configuration
from hsc.config import Config
from hsc.sweeps.command import command, experiment
from hsc.sweeps.results import Result
from hsc.sweeps.search import propose
from hsc.sweeps.sweep_file import read_sweep
from hsc.sweeps.trials import Trial
from hsc.training.judge_independence import check_judge_independence
from hsc.training.stage import MODULES
from hsc.training.weights import with_model_of

ROOT = Path(__file__).resolve().parent.parent
MERGED_OVER = {"gpu": "ffhq128", "paper1024": "paper128"}
EXPERIMENTS = [
    [path.with_stem(MERGED_OVER[path.stem]), path] if path.stem in MERGED_OVER else [path]
    for path in sorted((ROOT / "experiments").rglob("*.yaml"))
]
SWEEPS = sorted((ROOT / "sweeps").glob("*.yaml"))
MOST_TRIALS = 8


def stem(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("files", EXPERIMENTS, ids=lambda files: files[-1].stem)
def test_an_experiment_s_networks_can_be_built(files: list[Path]):
    config = configuration.load(files)
    assert config.run
    build(config)


@pytest.mark.parametrize("path", SWEEPS, ids=stem)
def test_the_networks_of_a_sweep_s_trials_can_be_built(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(ROOT)
    models = []
    for config in trials(path, tmp_path):
        check_judge_independence(config)
        if config.model not in models:
            models.append(config.model)
            build(config)
    assert models


def trials(path: Path, folder: Path) -> Iterable[Config]:
    """The first trials of a sweep."""
    sweep, known = read_sweep(path), []
    while len(known) < MOST_TRIALS and (values := propose(sweep, known)) is not None:
        config = experiment(command(sweep, values, folder))
        assert config is not None
        yield config
        known.append(Result(Trial(len(known), values)))


def build(config: Config) -> None:
    """Build all stages' networks without memory for their weights; losses must exist, and none may be a metric."""
    config = with_model_of(config)
    check_judge_independence(config)
    for name in config.run:
        stage = config.stages[name]
        with torch.device("meta"):
            module = MODULES[stage.module](config, stage, {}, 0)
        assert all(list(module.parts()[part].parameters()) for part in stage.train)
