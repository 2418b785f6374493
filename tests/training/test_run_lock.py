"""One run folder, one training: a second start waits for the first, or is refused; finished runs are left alone."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from programs import wait_for
from training_process import hold_run_lock

from hsc.errors import HscError
from hsc.training import run
from hsc.training.run import LOCK, run_lock

BASIC = ("run=[basic]", "stages.basic.init=fresh")
PATIENCE = 60  # seconds


@pytest.fixture
def holder(tmp_path: Path, forkserver: ForkServerContext) -> Iterator[tuple[BaseProcess, Callable[[], None]]]:
    """Another process that trains experiment "a" in the folder, and a function that ends that training."""
    holds, ends = forkserver.Event(), forkserver.Event()
    process = forkserver.Process(target=hold_run_lock, args=(tmp_path, "a", holds, ends))
    process.start()
    assert holds.wait(300)
    yield process, ends.set
    process.kill()
    process.join()


@pytest.fixture
def bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for a lock in this process times out."""
    deadline = time.monotonic() + PATIENCE

    def sleep(seconds: float) -> None:
        assert time.monotonic() < deadline, f"still waits for the lock after {PATIENCE} s"
        time.sleep(seconds)

    monkeypatch.setattr(run, "time", SimpleNamespace(sleep=sleep))


@pytest.mark.usefixtures("bounded")
def test_another_experiment_is_refused_until_the_first_is_dead(holder, tmp_path: Path):
    process, _ = holder
    refused = pytest.raises(HscError, match=rf"another training is using {tmp_path}: give this one a different name=")
    with refused, run_lock(tmp_path, "b", lambda: pytest.fail("waits")):
        pytest.fail("trains")
    assert process.is_alive()
    process.kill()
    process.join()
    assert "a" in (tmp_path / LOCK).read_text()
    with run_lock(tmp_path, "b", lambda: pytest.fail("waits")):
        pass


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("killed", [True, False])
def test_the_same_experiment_waits_until_the_first_ends(holder, tmp_path: Path, killed: bool):
    process, end = holder
    told = []

    def waiting() -> None:
        told.append(process.is_alive())
        process.kill() if killed else end()

    with run_lock(tmp_path, "a", waiting):
        assert told == [True]
        process.join(30)
    with run_lock(tmp_path, "b", lambda: pytest.fail("waits")):
        assert (tmp_path / LOCK).exists()


@pytest.mark.slow
def test_a_second_start_waits_and_another_experiment_is_turned_away(
    experiment, start_training: Callable[..., BaseProcess], tmp_path: Path
):
    """This holds while the first trains; when it dies, the second resumes from its checkpoint."""
    folder, said, refusal = experiment.folder(), tmp_path / "said", tmp_path / "refusal"
    words = (*BASIC, "stages.basic.steps=100000", "stages.basic.validate_every=100000")
    with ExitStack() as ended:

        def start(*more: str, **how: str) -> BaseProcess:
            process = start_training(experiment, *words, *more, **how)
            ended.callback(process.join)
            ended.callback(process.kill)
            return process

        first = start()
        wait_for((folder / "basic" / "last.ckpt").exists, "checkpoint")
        os.kill(first.pid, signal.SIGSTOP)  # it keeps the lock but leaves the processor to the others
        config = (folder / "config.yaml").read_bytes()
        start("defaults.log_every=5", output=str(said))
        other = start("seed=2", output=str(refusal))
        waits = f"waiting for the same training in {folder}\n"
        wait_for(lambda: said.exists() and waits in said.read_text(), "second start")
        other.join(200)
        assert other.exitcode == 1
        assert refusal.read_text() == (
            f"hsc: another training is using {folder}: give this one a different name=, or wait until that one ends\n"
        )
        assert (folder / "config.yaml").read_bytes() == config
        assert first.is_alive()
        first.kill()
        wait_for(lambda: f"basic: resuming from {folder / 'basic'}/" in said.read_text(), "resumed training")


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
