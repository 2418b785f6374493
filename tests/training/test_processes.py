"""Training in several processes: a step that is shared, accumulated or both gives the same loss curve."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from programs import wait_for

from hsc.errors import HscError
from hsc.training.trainer import check_devices

HSC = Path(sys.executable).with_name("hsc")  # Lightning repeats this command for the second process
# Everything random in a step is in use: qualities, noise, prefixes and flips.
WORDS = ["run=[joint]", "stages.joint.init=fresh", "stages.joint.steps=10", "stages.joint.validate_every=10"]


def start(experiment, *words: str) -> subprocess.Popen:
    command = [str(HSC), "train", str(experiment.file), "devices=2", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def curve(experiment, name: str) -> list[dict[str, float]]:
    """The training values logged at each step."""
    rows = experiment.training_rows("joint", name)
    return [{name: value for name, value in row.items() if name.startswith("train/")} for row in rows]


@pytest.mark.slow
def test_one_curve(experiment, train_in_process: Callable[..., int]):
    """One process computes every step at once or in two parts; two processes compute it in two parts each."""
    parts = "stages.joint.accumulate=2"
    assert train_in_process(experiment, *WORDS, "name=at-once") == 0
    assert train_in_process(experiment, *WORDS, parts, "name=in-parts") == 0
    process = start(experiment, *WORDS, parts, "name=shared")
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said
    at_once = curve(experiment, "at-once")
    assert len(at_once) == 10
    for name in ("in-parts", "shared"):
        for step, (own, expected) in enumerate(zip(curve(experiment, name), at_once, strict=True)):
            assert own == pytest.approx(expected, rel=1e-4, abs=1e-6), (name, step)


@pytest.mark.slow
def test_a_signal_to_one_ends_both_after_the_same_step(experiment):
    words = ("run=[basic,joint]", "stages.basic.init=fresh", "stages.basic.steps=60", "stages.basic.validate_every=60")
    process = start(experiment, *words)
    checkpoint = experiment.folder() / "basic" / "last.ckpt"
    wait_for(lambda: checkpoint.exists() or process.poll() is not None, "checkpoint of step 2")
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=300)  # until both have closed their output
    assert process.returncode == 143, said
    assert "Traceback" not in said
    steps = int(torch.load(checkpoint, weights_only=True)["state_dict"]["batches_seen"])
    assert 2 <= steps < 60

    process = start(experiment, *words)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert said.count("run folder: ") == 1
    assert said.count(f"after {steps} of 60 steps") == 1
    assert said.count("joint: starting from") == 1
    left = {".lock", "config.yaml", "done.json", "basic", "joint", "codec.safetensors"}
    assert {path.name for path in experiment.folder().iterdir()} == left
    assert experiment.done("joint")["samples_seen"] == 4 * (60 + 6)


def test_processes_that_were_not_asked_for_are_refused(monkeypatch: pytest.MonkeyPatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "4", "GROUP_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    check_devices("cpu", 4)
    with pytest.raises(HscError, match="devices is 1, but torchrun runs 4 processes; give devices=4, or start 1"):
        check_devices("cpu", 1)
    assert torch.distributed.is_torchelastic_launched()


@pytest.mark.parametrize("device", ["cuda", "mps", "gpu"])
def test_a_device_that_is_not_there_is_one_line(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(HscError, match=f"config: device: {device}: this machine has none"):
        check_devices(device, 1)


def test_no_more_devices_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_devices("auto", 2)
    check_devices("cpu", 4)
    with pytest.raises(HscError, match="this machine has 2, and devices is 4"):
        check_devices("auto", 4)
