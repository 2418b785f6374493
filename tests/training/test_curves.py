"""Logged values: means over windows, one W&B run on one axis, a summary of a single validation."""

import math
from collections.abc import Callable

import pytest
from tiny_experiment import Experiment
from tiny_model import LAYERS
from wandb_run import read_wandb_run

pytestmark = pytest.mark.slow

EVERY = 4


@pytest.fixture(scope="module")
def windows(new_experiment: Callable, train_in_process: Callable[..., int]) -> Experiment:
    """The same experiment in windows of four steps, with W&B: `prior` has five steps, `basic` three, `joint` six."""
    experiment = new_experiment()
    words = [f"defaults.log_every={EVERY}", "logging.wandb=offline", "defaults.monitor=val/enhanced/psnr"]
    said = experiment.runs.with_name("said")
    assert train_in_process(experiment, *words, output=str(said)) == 0, said.read_text()
    assert "wandb:" not in said.read_text()
    return experiment


@pytest.mark.parametrize(("stage", "ends"), [("prior", [4, 5]), ("basic", [3]), ("joint", [4, 6])])
def test_each_window_is_logged_once_as_its_mean(windows: Experiment, uninterrupted, stage: str, ends: list[int]):
    steps, logged = uninterrupted.training_rows(stage), windows.training_rows(stage)
    assert [row["step"] for row in logged] == ends
    validations = [row for row in windows.rows(stage) if any(name.startswith("val/") for name in row)]
    images = {row["samples_seen"]: row["step"] for row in steps}
    assert all(row["step"] == images[row["samples_seen"]] for row in validations), "an adversary has two optimisers"
    assert len(steps) == ends[-1]
    for begin, end, window in zip([0, *ends], ends, logged, strict=False):
        assert window["samples_seen"] == steps[end - 1]["samples_seen"]
        for name in {name for row in steps[begin:end] for name in row if name.startswith("train/")}:
            values = [row[name] for row in steps[begin:end] if name in row]
            assert window[name] == pytest.approx(sum(values) / len(values), rel=1e-5, abs=1e-7), name


def test_one_wandb_run_goes_through_all_stages(windows: Experiment):
    run = read_wandb_run(windows.folder())  # there must be exactly one
    seen = [row["samples_seen"] for row in run.history]
    assert seen == sorted(seen)
    assert not any("trainer/global_step" in row for row in run.history)
    assert [row["samples_seen"] for row in run.history if "train/objective" in row] == [16, 20, 32, 48, 56]
    assert {run.axes[name] for name in ("train/*", "val/*")} == {"samples_seen"}
    names = set().union(*run.history)
    assert {f"val/{layer}/{measure}" for layer in LAYERS for measure in ("psnr", "bytes", "bpp")} <= names
    assert any(name.startswith("val/samples") for name in names)
    assert run.config["name"] == "tiny"
    assert run.config["stages"]["joint"]["steps"] == 6


def test_the_summary_is_the_best_validation_of_the_last_stage(windows: Experiment):
    run = read_wandb_run(windows.folder())
    validations = [row for row in run.history if "val/enhanced/psnr" in row and row["samples_seen"] > 32]
    assert len(validations) == 2
    best = max(validations, key=lambda row: row["val/enhanced/psnr"])
    numbers = {name: value for name, value in best.items() if name.startswith("val/") and name.count("/") > 1}
    for name, value in numbers.items():
        if isinstance(value, int | float):
            assert run.summary[name] == value, name


def test_a_window_that_was_cut_off_is_logged_whole(experiment, uninterrupted, train_in_process: Callable[..., int]):
    experiment.take(uninterrupted, "prior", "basic")
    words = ["stages.joint.log_every=6"]
    assert train_in_process(experiment, *words, kill=("joint", 5, 9)) == -9  # saved after step 4
    assert train_in_process(experiment, *words) == 0
    (window,) = experiment.training_rows("joint")
    steps = uninterrupted.training_rows("joint")
    expected = sum(row["train/objective"] for row in steps) / len(steps)
    assert math.isclose(window["train/objective"], expected, rel_tol=1e-5)
