"""Sweeps of real trainings: equal stages are trained once, killed sweeps resume, the best run is a codec."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from pictures import write_pictures
from programs import run_hsc, wait_for
from safetensors.torch import load_file
from test_local_sweeps import states
from tiny_model import EXPERIMENT

from hsc.codec_file import load
from hsc.config.loading import merged
from hsc.sweeps.trials import SweepFolder
from hsc.sweeps.wandb_agents import agent_command

pytestmark = pytest.mark.slow
HSC = Path(sys.executable).with_name("hsc")
TRAINED = merged(
    EXPERIMENT,
    {
        "device": "cpu",
        "defaults": {"data": {"validation_limit": 2}, "warmup": 1, "validate_every": 20, "save_every": 5},
        "stages": {"basic": {"layers": ["basic"], "steps": 20}, "joint": {"steps": 40}},
        "run": ["basic", "joint"],
    },
)
RATE = "stages.joint.learning_rate"
SWEEP = {
    "method": "grid",
    "metric": {"name": "val/enhanced/psnr", "goal": "maximize"},
    "parameters": {RATE: {"values": [0.0001, 0.01]}},
    "command": [str(HSC), "train", "tiny.yaml", "${args}"],
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an experiment, its sweep and 32 pictures."""
    write_pictures(tmp_path / "faces", 32)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TRAINED))
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(SWEEP))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_sweep_is_killed_and_nothing_is_lost(place):
    """It gets SIGKILL in a trial's second stage, which ends the trial too; the result equals that of an uninterrupted
    training."""
    (place / "sweep.yaml").write_text(yaml.safe_dump(SWEEP | {"parameters": {RATE: {"value": 0.01}}}))
    assert run_hsc("train", "tiny.yaml", f"{RATE}=0.01", "name=alone") == 0
    (place / "runs/.stages").rename(place / "earlier")  # leaves the sweep nothing to reuse
    folder = SweepFolder(place / "killed")
    process = subprocess.Popen([HSC, "sweep", "sweep.yaml", "--dir", "killed"], stdout=subprocess.DEVNULL)
    checkpoint = folder.path / "trials/000/joint/last.ckpt"
    wait_for(checkpoint.exists, "checkpoint")
    process.kill()
    process.wait(60)
    assert run_hsc("sweep", "--resume", "killed") == 0
    assert states(folder) == ["finished"]
    assert "resuming from" in folder.log(folder.load()[0]).read_text()
    best, alone = (load_file(place / run / "joint" / "weights.safetensors") for run in ("killed/best", "runs/alone"))
    assert all(torch.equal(value, best[name]) for name, value in alone.items())
    load(place / "killed/best/codec.safetensors")


def test_two_processes_a_trial(place, capsys):
    few = {"devices": 2, "stages": {"basic": {"steps": 2}, "joint": {"steps": 2}}}
    (place / "tiny.yaml").write_text(yaml.safe_dump(merged(TRAINED, few)))
    assert run_hsc("sweep", "sweep.yaml", "--dir", "ddp") == 0
    assert states(SweepFolder(place / "ddp")) == ["finished"] * 2
    assert capsys.readouterr().out.count("reused basic") == 1
    assert (place / "ddp/logs/001.txt").read_text().count("basic: reused from") == 1
    done = json.loads((place / "ddp/trials/001/basic/done.json").read_text())
    assert done["reused_from"].endswith("ddp/trials/000/basic")


def test_a_trial_of_a_wandb_agent(place, monkeypatch):
    """W&B's own agent starts our command; its server is not contacted. The next trial reuses the trained stage."""
    import multiprocessing

    from wandb.wandb_agent import Agent

    for name, value in {"WANDB_SWEEP_ID": "abc", "WANDB_MODE": "offline", "WANDB_DIR": str(place)}.items():
        monkeypatch.setenv(name, value)
    for name in ("WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH"):
        monkeypatch.setenv(name, "")  # the agent sets it, and monkeypatch restores it
    alone = {"logging": {"wandb": "offline"}, "stages": {"joint": {"init": "fresh"}}, "run": ["joint"]}
    (place / "tiny.yaml").write_text(yaml.safe_dump(merged(TRAINED, alone)))
    agent = Agent(api=None, queue=multiprocessing.Queue(), sweep_id="abc")
    agent._sweep_command = list(SWEEP["command"])
    arguments = {RATE: {"value": 0.01}, "stages.joint.steps": {"value": 5}}
    agent._process_command({"type": "run", "run_id": "one", "program": None, "args": arguments})
    assert agent._run_processes["one"].wait(300) == 0
    monkeypatch.setenv("WANDB_RUN_ID", "two")
    words = [f"{name}={argument['value']}" for name, argument in arguments.items()]
    assert run_hsc("train", "tiny.yaml", *words, "logging.wandb=disabled") == 0
    folder = place / "runs/tiny-abc"
    assert {path.name for path in folder.iterdir()} == {"one", "two"}
    assert (folder / "one/wandb-id").read_text() == "one"
    assert list(folder.glob("one/wandb/offline-run-*-one"))
    assert "reused_from" in json.loads((folder / "two/joint/done.json").read_text())
    assert "learning_rate: 0.01" in (folder / "one/config.yaml").read_text()


def test_the_command_of_an_agent():
    assert agent_command("abc", "hsc", "me", 3) == ["wandb", "agent", "--forward-signals", "--count", "3", "me/hsc/abc"]
    assert agent_command("abc", "hsc", None, None) == ["wandb", "agent", "--forward-signals", "hsc/abc"]


def test_without_an_account_the_way_out_is_named(place, monkeypatch, capsys):
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert run_hsc("sweep", "sweep.yaml", "--on", "wandb") == 1
    assert (
        capsys.readouterr().err.strip()
        == "hsc: no W&B account: run `wandb login` first, or use --on local, which needs none"
    )
