"""A tiny experiment, and fixtures that train it in processes that can be killed."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import yaml
from pictures import write_pictures
from tiny_experiment import Experiment, write_experiment
from training_process import hsc_train

from hsc.judges import NotAvailable
from hsc.judges.weights import locate


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of 20 pictures, 40×40 pixels: 16 for training, 4 for validation."""
    return write_pictures(tmp_path_factory.mktemp("faces") / "faces.zip", 20, 40, squares=5)


@pytest.fixture
def experiment(faces: Path, tmp_path: Path) -> Experiment:
    return write_experiment(faces, tmp_path)


@pytest.fixture(scope="session")
def new_experiment(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Experiment]:
    """The experiment in a folder of its own, for results that several tests share."""
    return lambda: write_experiment(faces, tmp_path_factory.mktemp("experiment"))


@pytest.fixture(scope="session")
def uninterrupted(new_experiment: Callable[[], Experiment], train_in_process: Callable[..., int]) -> Experiment:
    """The experiment after an uninterrupted run; tests must not change it."""
    whole = new_experiment()
    said = whole.runs.with_name("said")
    assert train_in_process(whole, output=str(said)) == 0, said.read_text()
    return whole


@pytest.fixture
def against_projected(experiment: Experiment) -> Callable[[str], list[str]]:
    """`against_projected("joint")`: overrides that train this stage alone, from fresh weights of a model of 64×64
    pixels, against a projected discriminator. Skips the test if the weights of its features are missing.
    """

    def words(stage: str) -> list[str]:
        try:
            locate("lite0")
        except NotAvailable as reason:
            pytest.skip(str(reason))
        content = yaml.safe_load(experiment.file.read_text())
        settings = content["stages"][stage]
        settings |= {"adversarial": {"discriminator": "projected"}, "init": "fresh"}
        settings["train"] = list(dict.fromkeys([*settings["train"], "discriminator"]))
        experiment.file.write_text(yaml.safe_dump(content, sort_keys=False))
        networks = [f"model.{net}.channels=[16, 16, 16, 16, 8]" for net in ("generator", "encoder")]
        return [f"run=[{stage}]", "model.layers.enhanced.rows=4", *networks]

    return words


@pytest.fixture(scope="session")
def forkserver() -> ForkServerContext:
    """Its processes fork from one that has imported everything but computed nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["hsc.cli", "hsc.training"])
    return context


@pytest.fixture(scope="session")
def start_training(forkserver: ForkServerContext) -> Callable[..., BaseProcess]:
    """`start_training(experiment, "key=value", …, kill=(stage, batch, signal))` → the process of `hsc train`."""

    def start(experiment: Experiment, *overrides: str, **how: Any) -> BaseProcess:
        process = forkserver.Process(target=hsc_train, args=(str(experiment.file), *overrides), kwargs=how)
        process.start()
        return process

    return start


@pytest.fixture(scope="session")
def train_in_process(start_training: Callable[..., BaseProcess]) -> Callable[..., int]:
    """Like `start_training`, but waits and returns the exit status."""

    def run(experiment: Experiment, *overrides: str, **how: Any) -> int:
        process = start_training(experiment, *overrides, **how)
        process.join(300)
        assert process.exitcode is not None, "still training after five minutes"
        return process.exitcode

    return run


@pytest.fixture
def said_in_training(train_in_process: Callable[..., int], tmp_path: Path) -> Callable[..., str]:
    """Like `start_training`, but waits and returns the printed text; the exit status must be `status`."""

    def run(experiment: Experiment, *overrides: str, status: int = 0, **how: Any) -> str:
        said = tmp_path / "said"
        said.unlink(missing_ok=True)
        ended = train_in_process(experiment, *overrides, output=str(said), **how)
        assert ended == status, said.read_text()
        return said.read_text()

    return run
