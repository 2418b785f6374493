"""One run folder, one training: a second start waits for the first, or is refused; finished runs are left alone."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hsc.errors import HscError
from hsc.training.run import LOCK, run_lock

HOLDER = """
import sys
from pathlib import Path
from hsc.training.run import run_lock
with run_lock(Path(sys.argv[1]), sys.argv[2], print):
    print("holds it", flush=True)
    sys.stdin.read()
"""
BASIC = ("run=[basic]", "stages.basic.init=fresh")


@pytest.fixture
def holder(tmp_path: Path):
    """Another process that trains experiment "a" in the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), "a"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "holds it\n"
    yield process
    process.kill()
    process.wait()


def test_another_experiment_is_refused(holder, tmp_path: Path):
    refused = pytest.raises(HscError, match=rf"another training works in {tmp_path}: give this one a name= of its own")
    with refused, run_lock(tmp_path, "b", lambda: pytest.fail("waits")):
        pytest.fail("trains")
    assert holder.poll() is None


@pytest.mark.parametrize("number", [signal.SIGKILL, None])
def test_the_same_experiment_waits_until_the_first_ends(holder, tmp_path: Path, number: int | None):
    told = []

    def waiting() -> None:
        told.append(holder.poll())
        if number is None:
            holder.communicate()
        else:
            holder.send_signal(number)

    with run_lock(tmp_path, "a", waiting):
        assert told == [None]
        holder.wait(30)
    with run_lock(tmp_path, "b", lambda: pytest.fail("waits")):
        assert (tmp_path / LOCK).exists()


def test_what_a_killed_process_has_left_refuses_nobody(holder, tmp_path: Path):
    holder.kill()
    holder.wait()
    assert "a" in (tmp_path / LOCK).read_text()
    with run_lock(tmp_path, "b", lambda: pytest.fail("waits")):
        pass


def start(experiment, *words: str) -> subprocess.Popen:
    command = [str(Path(sys.executable).with_name("hsc")), "train", str(experiment.file), *BASIC, *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_second_start_waits_and_another_experiment_is_turned_away(experiment):
    """While the first trains; when that one dies, the second goes on from its checkpoint."""
    folder, words = experiment.folder(), ("stages.basic.steps=100000", "stages.basic.validate_every=100000")
    first = start(experiment, *words)
    checkpoint = folder / "basic" / "last.ckpt"
    deadline = time.monotonic() + 200
    while not checkpoint.exists():
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    config = (folder / "config.yaml").read_bytes()
    second, other = start(experiment, *words, "defaults.log_every=5"), start(experiment, *words, "seed=2")
    assert second.stdout.readline() == f"waits for the same training in {folder}\n"
    said, failed = other.communicate(timeout=200)
    assert (other.returncode, said) == (1, "")
    assert failed == (
        f"hsc: another training works in {folder}: give this one a name= of its own, or wait until that one ends\n"
    )
    assert (folder / "config.yaml").read_bytes() == config
    assert first.poll() is None
    first.kill()
    assert second.stdout.readline().startswith(f"basic: resumes from {checkpoint.parent}/")
    second.kill()
    for process in (first, second):
        process.communicate()


@pytest.mark.slow
def test_a_finished_run_is_not_exported_again(experiment, train_in_process: Callable[..., int]):
    file = experiment.folder() / "codec.safetensors"
    assert train_in_process(experiment, *BASIC) == 0
    first = file.stat()
    assert train_in_process(experiment, *BASIC, "defaults.log_every=7") == 0
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (first.st_ino, first.st_mtime_ns)
    assert train_in_process(experiment, *BASIC, "title=Another") == 0
    assert file.stat().st_mtime_ns != first.st_mtime_ns
    file.unlink()
    assert train_in_process(experiment, *BASIC, "title=Another") == 0
    assert file.exists()
    assert torch.isfinite(experiment.weights("basic")["encoder.net.stem.weight"]).all()
