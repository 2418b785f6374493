"""What is logged is true: means over windows, one W&B run on one axis, a summary that belongs together."""

import csv
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from wandb_run import read_wandb_run

pytestmark = pytest.mark.slow

EVERY = 4


@pytest.fixture(scope="module")
def folder(new_experiment: Callable, train_in_process: Callable[..., int]) -> Path:
    """The experiment once more, to W&B, in windows of four steps: `prior` has five, `basic` three, `joint` six."""
    windows = new_experiment()
    words = [f"defaults.log_every={EVERY}", "logging.wandb=offline", "defaults.monitor=val/enhanced/psnr"]
    assert train_in_process(windows, *words) == 0
    return windows.folder()


def training_rows(stage: Path) -> list[dict[str, float]]:
    rows = []
    for log in sorted(stage.glob("log/*/metrics.csv")):
        for row in csv.DictReader(log.read_text().splitlines()):
            if row.get("train/objective"):
                rows.append({name: float(value) for name, value in row.items() if value})
    return rows


@pytest.mark.parametrize(("stage", "ends"), [("prior", [4, 5]), ("basic", [3]), ("joint", [4, 6])])
def test_each_window_is_logged_once_as_its_mean(folder: Path, uninterrupted, stage: str, ends: list[int]):
    steps, windows = (training_rows(run / stage) for run in (uninterrupted.folder(), folder))
    assert [row["step"] for row in windows] == ends
    assert len(steps) == ends[-1]
    for begin, end, window in zip([0, *ends], ends, windows, strict=False):
        assert window["samples_seen"] == steps[end - 1]["samples_seen"]
        for name in {name for row in steps[begin:end] for name in row if name.startswith("train/")}:
            values = [row[name] for row in steps[begin:end] if name in row]
            assert window[name] == pytest.approx(sum(values) / len(values), rel=1e-5, abs=1e-7), name


def test_one_wandb_run_goes_through_all_stages(folder: Path):
    run = read_wandb_run(folder)  # of the one file there is
    seen = [row["samples_seen"] for row in run.history]
    assert seen == sorted(seen)
    assert not any("trainer/global_step" in row for row in run.history)
    assert [row["samples_seen"] for row in run.history if "train/objective" in row] == [16, 20, 32, 48, 56]
    assert {run.axes[name] for name in ("train/*", "val/*")} == {"samples_seen"}


def test_the_summary_is_the_best_validation_of_the_last_stage(folder: Path):
    run = read_wandb_run(folder)
    validations = [row for row in run.history if "val/enhanced/psnr" in row and row["samples_seen"] > 32]
    assert len(validations) == 2
    best = max(validations, key=lambda row: row["val/enhanced/psnr"])
    numbers = {name: value for name, value in best.items() if name.startswith("val/") and name.count("/") > 1}
    for name, value in numbers.items():
        if isinstance(value, int | float):
            assert run.summary[name] == value, name


def test_a_window_that_was_cut_off_is_logged_whole(experiment, uninterrupted, train_in_process: Callable[..., int]):
    for name in ("prior", "basic"):
        shutil.copytree(uninterrupted.folder() / name, experiment.folder() / name)
    words = ["stages.joint.log_every=6"]
    assert train_in_process(experiment, *words, kill=("joint", 5, 9)) == -9  # saved after step 4
    assert train_in_process(experiment, *words) == 0
    (window,) = training_rows(experiment.folder() / "joint")
    steps = training_rows(uninterrupted.folder() / "joint")
    expected = sum(row["train/objective"] for row in steps) / len(steps)
    assert math.isclose(window["train/objective"], expected, rel_tol=1e-5)
