"""Training in two processes: every kind of stage, one folder, and a signal to one that ends both."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow

HSC = Path(sys.executable).with_name("hsc")  # Lightning starts the second process as it finds the first


def start(experiment, *words: str) -> subprocess.Popen:
    command = [str(HSC), "train", str(experiment.file), "devices=2", *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def test_a_signal_to_one_ends_both_after_the_same_step(experiment):
    process = start(experiment, "stages.basic.steps=60")
    checkpoint = experiment.folder() / "basic" / "last.ckpt"
    deadline = time.monotonic() + 300
    while not checkpoint.exists() and process.poll() is None:
        assert time.monotonic() < deadline, "no checkpoint of step 2 after five minutes"
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=300)  # until both have closed their output
    assert process.returncode == 143, said
    assert "Traceback" not in said
    steps = int(torch.load(checkpoint, weights_only=True)["state_dict"]["batches_seen"])
    assert 2 <= steps < 60

    process = start(experiment, "stages.basic.steps=60")
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert said.count("prior: done already") == said.count("run folder: ") == 1
    assert said.count(f"after {steps} of 60 steps") == 1
    assert said.count("joint: starts from") == 1
    assert {path.name for path in experiment.folder().iterdir()} == {
        ".lock", "config.yaml", "done.json", "prior", "basic", "joint", "prior.safetensors", "codec.safetensors"
    }  # fmt: skip
    assert experiment.done("joint")["samples_seen"] == 4 * (5 + 60 + 6)
