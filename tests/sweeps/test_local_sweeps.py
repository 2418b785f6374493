"""The four methods without an account, killed trials and killed sweeps, and the files left at the end."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from programs import run_hsc, wait_for

from hsc.sweeps import controller
from hsc.sweeps.results import best, read_results
from hsc.sweeps.sweep_file import read_sweep
from hsc.sweeps.trials import SweepFolder

TOY = Path(__file__).with_name("toy_training.py")
GRID = {"x": {"values": [0.0, 0.3, 0.9]}}


def in_process(*arguments: object) -> subprocess.Popen:
    program = "from hsc.cli import main; main()"
    words = [sys.executable, "-c", program, "sweep", *map(str, arguments)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def states(folder) -> list[str]:
    return [trial.state for trial in folder.load()]


def attempts(folder, number: int) -> list[str]:
    """The steps that each attempt of the toy started from."""
    return (folder.path / "trials" / f"{number:03d}" / "attempts").read_text().split()


def csv_rows(folder) -> list[dict[str, str]]:
    return list(csv.DictReader((folder.path / "trials.csv").read_text().splitlines()))


def best_of(file, folder) -> int:
    chosen = best(read_results(read_sweep(file), folder))
    assert chosen is not None
    return chosen.trial.number


def test_grid_tries_every_point_once_and_ranks_by_the_best_value(write_sweep, folder, capsys):
    file = write_sweep({**GRID, "steps": {"value": 3}})
    assert run_hsc("sweep", file, "--dir", folder.path, "--jobs", 2) == 0
    said = capsys.readouterr().out
    assert states(folder) == ["finished"] * 3
    assert "best: 001" in said
    assert os.readlink(folder.path / "best") == "trials/001"
    assert (folder.path / "best" / "codec.safetensors").exists()
    rows = csv_rows(folder)
    assert [row["trial"] for row in rows] == ["001", "000", "002"]
    assert float(rows[0]["val/only/lpips"]) == pytest.approx(0.05)  # of the second of three steps
    page = (folder.path / "index.html").read_text()
    assert page.count('<a href="trials/') == 3
    assert re.findall(r'<a href="trials/(\d+)/">', page) == ["001", "000", "002"]
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    table = pytest.importorskip("pyarrow.parquet").read_table(folder.path / "trials.parquet").to_pylist()
    assert [(row["trial"], row["x"]) for row in table] == [(row["trial"], float(row["x"])) for row in rows]


def test_a_line_now_and_then_says_how_far_the_sweep_is(write_sweep, folder, monkeypatch, capsys):
    monkeypatch.setattr(controller, "SECONDS_BETWEEN_NEWS", 0.05)
    file = write_sweep({"x": {"values": [0.3, 0.4]}, "steps": {"value": 6}, "slow": {"value": 0.05}})
    assert run_hsc("sweep", file, "--dir", folder.path) == 0
    news = [line for line in capsys.readouterr().out.splitlines() if "trials have ended" in line]
    assert any(line.startswith("0 of 2 trials have ended; 000 in only (1 of 1), val/only/lpips ") for line in news)
    assert any(
        "1 of 2 trials have ended; 001" in line and "best so far 000: val/only/lpips 0.02" in line for line in news
    )


def test_bayesian_search_finds_the_valley(write_sweep, folder):
    file = write_sweep({"x": {"distribution": "log_uniform_values", "min": 0.001, "max": 100.0}}, "bayes", run_cap=12)
    assert run_hsc("sweep", file, "--dir", folder.path) == 0
    assert states(folder) == ["finished"] * 12
    losses = [abs(trial.values["x"] - 0.3) for trial in folder.load()]
    assert min(losses[5:]) < min(losses[:5])  # the first five are drawn at random
    assert min(losses) < 0.15


def test_hyperband_stops_what_falls_behind(write_sweep, folder):
    early = {"type": "hyperband", "min_iter": 2, "eta": 2}
    parameters = {"x": {"values": [0.3, 0.31, 5.0]}, "steps": {"value": 40}, "slow": {"value": 0.03}}
    file = write_sweep(parameters, early_terminate=early)
    assert run_hsc("sweep", file, "--dir", folder.path) == 0
    assert states(folder) == ["finished", "finished", "stopped"]  # two trials are too few to stop one
    assert best_of(file, folder) == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_trial_is_resumed_where_it_was(write_sweep, folder, number):
    parameters = {"x": {"value": 0.3}, "die": {"value": f"{int(number)}@1"}, "slow": {"value": 0.05}}
    assert run_hsc("sweep", write_sweep(parameters), "--dir", folder.path) == 0
    assert states(folder) == ["finished"]
    assert attempts(folder, 0) == ["0", "2"]
    assert len(folder.load()[0].attempts) == 2


def test_a_trial_that_always_dies_is_given_up(write_sweep, folder):
    parameters = {"x": {"value": 0.0}, "die": {"value": "9@0"}, "always": {"value": "die"}, "steps": {"value": 9}}
    assert run_hsc("sweep", write_sweep(parameters), "--dir", folder.path, "--retries", 1) == 1
    assert states(folder) == ["failed"]
    assert attempts(folder, 0) == ["0", "1"]
    assert "killed by SIGKILL" in (folder.load()[0].attempts[-1].ended or "")


def test_failed_trials_are_listed_with_their_last_lines(write_sweep, folder, capsys):
    file = write_sweep({"x": {"values": ["no number", 0.3]}})
    assert run_hsc("sweep", file, "--dir", folder.path, "--retries", 1) == 0
    said = capsys.readouterr().out
    assert states(folder) == ["failed", "finished"]
    assert "000 failed: ended before its first stage (exit status 1)" in said
    assert "could not convert string to float" in said
    assert len(folder.load()[0].attempts) == 2


def test_a_sweep_in_which_everything_fails_ends_early(write_sweep, folder, capsys):
    file = write_sweep({"x": {"values": [f"no number {n}" for n in range(9)]}})
    assert run_hsc("sweep", file, "--dir", folder.path, "--retries", 0) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("no trial finished of 3 that were started; fix")
    assert len(folder.load()) == 3


@pytest.mark.parametrize("why", ["config: seed: must be from 0 to 4294967295 (not -1)", "no faces at faces.zip"])
def test_what_keeps_a_trial_from_beginning_ends_a_sweep_at_once(write_sweep, folder, capsys, why):
    """Neither a restart nor another trial is attempted."""
    command = ["${interpreter}", "-c", f"import sys; sys.exit('hsc: {why}')"]
    file = write_sweep({"x": {"values": [1, 2, 3]}}, command=command)
    assert run_hsc("sweep", file, "--dir", folder.path, "--retries", 2) == 1
    said = capsys.readouterr().err
    assert f"the sweep ends at trial 000, which cannot be trained: {why}; fix that and continue with: " in said
    assert said.endswith(f"hsc sweep --resume {folder.path}\n")
    assert [len(trial.attempts) for trial in folder.load()] == [1]


def test_a_sweep_goes_on_when_what_kept_it_from_beginning_is_mended(write_sweep, folder, tmp_path):
    train = f"import sys; sys.argv[0] = {str(TOY)!r}; exec(open(sys.argv[0]).read())"
    program = f"import os, sys; os.path.exists({str(tmp_path / 'faces')!r}) or sys.exit('hsc: no faces')\n{train}"
    file = write_sweep(GRID, command=["${interpreter}", "-c", program, "${args}"])
    assert run_hsc("sweep", file, "--dir", folder.path) == 1
    (tmp_path / "faces").touch()
    assert run_hsc("sweep", "--resume", folder.path) == 0
    assert states(folder) == ["finished"] * 3


def test_what_fails_in_the_midst_of_a_trial_is_tried_again(write_sweep, folder, tmp_path):
    """Only a trial that cannot start ends the sweep; a later failure, such as a full disk, may pass."""
    begin = "pathlib.Path(os.environ['HSC_RUN_FOLDER'], 'config.yaml').write_text('run: [only]')"
    program = f"import os, pathlib, sys; {begin}; sys.exit('hsc: the disk is full')"
    file = write_sweep({"x": {"value": 1}}, command=["${interpreter}", "-c", program])
    assert run_hsc("sweep", file, "--dir", folder.path, "--retries", 1) == 1
    assert [len(trial.attempts) for trial in folder.load()] == [2]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_sweep_that_is_stopped_goes_on_where_it_was(write_sweep, folder, number, status):
    file = write_sweep({**GRID, "slow": {"value": 0.15}})
    process = in_process(file, "--dir", folder.path)
    wait_for(lambda: (folder.path / "trials/001/only/steps").exists(), "second trial")
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == status, said
    assert "Traceback" not in said
    assert states(folder) == ["finished", "waiting"]
    assert run_hsc("sweep", "--resume", folder.path) == 0
    assert states(folder) == ["finished"] * 3
    assert attempts(folder, 0) == ["0"]  # finished before, not repeated
    assert len(attempts(folder, 1)) == 2
    assert int(attempts(folder, 1)[1]) >= 1  # resumed, not restarted
    assert best_of(file, folder) == 1


BETWEEN = {"x": {"min": 0.0, "max": 1.0}, "slow": {"value": 0.2}}
HYPERBAND = {"type": "hyperband", "min_iter": 1, "eta": 2}


@pytest.mark.parametrize(
    ("method", "parameters", "more"),
    [
        ("bayes", BETWEEN, {"run_cap": 7}),  # two more than the random ones
        ("random", BETWEEN, {"run_cap": 4, "early_terminate": HYPERBAND}),
    ],
    ids=["bayes", "random with hyperband"],
)
def test_every_method_finds_the_same_best_after_deaths(write_sweep, folder, tmp_path, method, parameters, more):
    """A trial gets SIGKILL, then the sweep does; it still tries the same values as an uninterrupted sweep."""
    file = write_sweep(parameters, method, **more)
    alone = SweepFolder(tmp_path / "alone")
    assert run_hsc("sweep", file, "--dir", alone.path) == 0
    process = in_process(file, "--dir", folder.path)
    wait_for(lambda: (folder.path / "trials/000/only/steps").exists() and pid(folder, 0), "first trial")
    os.kill(pid(folder, 0), signal.SIGKILL)
    wait_for(lambda: (folder.path / "trials/001/only/steps").exists(), "second trial")
    process.kill()
    process.communicate(timeout=60)
    assert run_hsc("sweep", "--resume", folder.path) == 0
    assert [trial.values for trial in folder.load()] == [trial.values for trial in alone.load()]
    assert len(attempts(folder, 0)) == 2
    assert best_of(file, folder) == best_of(file, alone)


def pid(folder, number: int) -> int | None:
    """The process of a trial's latest attempt, once it is known."""
    started = folder.load()[number].attempts
    return (started[-1].process or {}).get("pid") if started else None


def test_two_sweeps_do_not_share_a_folder(write_sweep, folder, capsys):
    file = write_sweep(GRID)
    assert run_hsc("sweep", file, "--dir", folder.path) == 0
    assert run_hsc("sweep", file, "--dir", folder.path) == 1
    assert f"hsc sweep --resume {folder.path}" in capsys.readouterr().err


def test_a_finished_sweep_can_be_given_more_trials_up_to_its_cap(write_sweep, folder):
    file = write_sweep({"x": {"min": 0.0, "max": 1.0}}, "random", run_cap=3)
    assert run_hsc("sweep", file, "--dir", folder.path, "--count", 2) == 0
    before = [trial.values["x"] for trial in folder.load()]
    assert run_hsc("sweep", "--resume", folder.path, "--count", 4) == 0
    values = [trial.values["x"] for trial in folder.load()]
    assert values[:2] == before
    assert all(0 <= value <= 1 for value in values)
    assert len(set(values)) == 3
    assert states(folder) == ["finished"] * 3


def test_offline_wandb_runs_are_grouped_under_the_sweep(write_sweep, folder, tmp_path):
    shown = tmp_path / "shown.json"
    program = f"import os, json; json.dump(dict(os.environ), open({str(shown)!r}, 'w'))"
    file = write_sweep({"x": {"value": 1}}, command=["${interpreter}", "-c", program])
    assert run_hsc("sweep", file, "--dir", folder.path, "--retries", 0) == 1  # the program trains nothing
    environment = json.loads(shown.read_text())
    identity = json.loads((folder.path / "sweep.json").read_text())["identity"]
    assert environment["WANDB_MODE"] == "offline"
    assert environment["WANDB_RUN_GROUP"] == f"sweep-{identity}"
    assert (folder.path / "trials/000/wandb-id").read_text() == f"{identity}-000"
