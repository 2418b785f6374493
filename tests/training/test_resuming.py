"""An interrupted run ends with exactly the weights of an uninterrupted one."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.slow

KILLED, TERMINATED = -signal.SIGKILL, 143
ONLY = {"prior": ["run=[prior]"], "joint": []}  # overrides that keep a run short


@pytest.fixture
def train(experiment, uninterrupted, train_in_process: Callable[..., int]) -> Callable[..., int]:
    """`train("joint", …)` trains the experiment's `joint` stage alone; the stages before it are already done."""

    def run(stage: str, *overrides: str, **how) -> int:
        if stage == "joint" and not experiment.folder().exists():
            experiment.take(uninterrupted, "prior", "basic")
        return train_in_process(experiment, *ONLY[stage], *overrides, **how)

    return run


@pytest.fixture
def same_result(experiment, uninterrupted) -> Callable[[str], None]:
    """`same_result("joint")` compares the stage's weights, and the file made of them, with the uninterrupted run's."""

    def compare(stage: str) -> None:
        made, expected = experiment.weights(stage), uninterrupted.weights(stage)
        assert made.keys() == expected.keys()
        different = [name for name, value in made.items() if not torch.equal(value, expected[name])]
        assert not different, f"{stage}: {len(different)} of {len(made)} tensors differ: {different[:5]}"
        file = {"prior": "prior.safetensors", "joint": "codec.safetensors"}[stage]
        assert (experiment.folder() / file).read_bytes() == (uninterrupted.folder() / file).read_bytes()

    return compare


def batches_in(checkpoint: Path) -> int:
    return int(torch.load(checkpoint, weights_only=True)["state_dict"]["batches_seen"])


@pytest.mark.parametrize(("stage", "batch"), [("prior", 4), ("joint", 2), ("joint", 5)])
def test_kill_9_in_the_middle_of_a_stage(experiment, train: Callable, same_result: Callable, stage: str, batch: int):
    """After a checkpoint, with and without a validation in between, or before the first checkpoint."""
    assert train(stage, kill=(stage, batch, signal.SIGKILL)) == KILLED
    assert not (experiment.folder() / stage / "weights.safetensors").exists()
    assert train(stage) == 0
    same_result(stage)


@pytest.mark.parametrize("batch", [3, 6])
def test_kill_9_during_validation(experiment, uninterrupted, train: Callable, same_result: Callable, batch: int):
    """In the middle of the stage, and at its end, when no step is left to train."""
    assert train("joint", kill_validation=("joint", batch, signal.SIGKILL)) == KILLED
    assert batches_in(experiment.folder() / "joint" / "last.ckpt") == batch
    assert train("joint") == 0
    same_result("joint")
    done, expected = (
        {name: value for name, value in e.done("joint")["metrics"].items() if name.startswith("val/")}
        for e in (experiment, uninterrupted)
    )
    assert "val/enhanced/psnr" in expected
    assert done == expected
    assert validations(experiment) == validations(uninterrupted), "the one that was cut off is made up"


@pytest.mark.parametrize(
    ("stage", "number", "status"), [("prior", signal.SIGKILL, KILLED), ("joint", signal.SIGTERM, TERMINATED)]
)
def test_a_signal_between_the_last_step_and_the_weights(
    train: Callable, same_result: Callable, stage: str, number: int, status: int
):
    """The weights are the averaged ones, as without the signal."""
    assert train(stage, kill_before_weights=number) == status
    assert train(stage) == 0
    same_result(stage)


@pytest.mark.parametrize(("stage", "during", "batch"), [("prior", "kill", 1), ("joint", "kill_validation", 3)])
def test_sigterm_saves_the_step_and_says_143(
    experiment, train: Callable, same_result: Callable, tmp_path: Path, stage: str, during: str, batch: int
):
    """Even though a checkpoint is due only every other step; also during a validation."""
    said = tmp_path / "said"
    assert train(stage, **{during: (stage, batch, signal.SIGTERM)}) == TERMINATED
    assert batches_in(experiment.folder() / stage / "last.ckpt") == batch
    assert train(stage, output=str(said)) == 0
    assert f"{stage}: resuming from" in said.read_text()
    same_result(stage)


def test_images_read_by_worker_processes(train: Callable, same_result: Callable):
    """The same batches in the same order as from memory, also after a kill."""
    workers = "stages.joint.data.workers=2"
    assert train("joint", workers, kill=("joint", 3, signal.SIGKILL), uncached=True) == KILLED
    assert train("joint", workers, uncached=True) == 0
    same_result("joint")


@pytest.mark.parametrize("damaged", [["last"], ["last", "previous"]])
def test_damaged_checkpoints_give_way_to_older_ones(
    experiment, train: Callable, same_result: Callable, tmp_path: Path, damaged: list[str]
):
    """One is truncated, the other has a wrong byte in its middle."""
    assert train("joint", kill=("joint", 5, signal.SIGKILL)) == KILLED
    folder, said = experiment.folder() / "joint", tmp_path / "said"
    for name, harm in zip(damaged, (cut_off, change_a_byte), strict=False):
        harm(folder / f"{name}.ckpt")
    assert train("joint", output=str(said)) == 0
    for name in damaged:
        assert f"{name}.ckpt is damaged and was renamed to {name}.ckpt.damaged" in said.read_text()
    assert ("previous.ckpt after 3 of 6 steps" in said.read_text()) == (damaged == ["last"])
    same_result("joint")


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:1000])


def change_a_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def validations(experiment) -> dict[float, float]:
    """PSNR by samples seen."""
    rows = experiment.rows("joint")
    return {row["samples_seen"]: row["val/enhanced/psnr"] for row in rows if "val/enhanced/psnr" in row}


@pytest.fixture
def slurm_job(tmp_path: Path) -> dict[str, str]:
    """The environment variables of an array job; the arguments of scontrol are written to `asked`."""
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(f"#!/bin/sh\necho $* >> {tmp_path / 'asked'}\n")
    scontrol.chmod(0o755)
    job = {"SLURM_JOB_ID": "17", "SLURM_ARRAY_JOB_ID": "16", "SLURM_ARRAY_TASK_ID": "4"}
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}"} | job


def test_usr1_in_a_slurm_job_saves_and_requeues(
    experiment, train: Callable, same_result: Callable, slurm_job, tmp_path: Path
):
    assert train("joint", kill=("joint", 1, signal.SIGUSR1), environment=slurm_job) == TERMINATED
    assert (tmp_path / "asked").read_text() == "requeue 16_4\n"
    assert batches_in(experiment.folder() / "joint" / "last.ckpt") == 1
    assert train("joint", environment=slurm_job) == 0
    same_result("joint")


@pytest.mark.parametrize(("rank", "asked"), [("0", "requeue 16_4\n"), ("1", "")])
def test_usr1_while_a_job_is_still_loading_requeues_it_once(slurm_job, tmp_path: Path, rank: str, asked: str):
    program = """
import os, signal, sys
from hsc.cli import main
class Loading:
    def find_spec(self, name, *_):
        if name == "torch":
            os.kill(os.getpid(), signal.SIGUSR1)
sys.meta_path.insert(0, Loading())
main(["train", "none.yaml"])
"""
    environment = os.environ | slurm_job | {"SLURM_PROCID": rank}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert ended.returncode == TERMINATED
    assert ended.stderr.startswith("hsc: interrupted; finished stages and checkpoints are kept; resume with: ")
    assert "".join(path.read_text() for path in tmp_path.glob("asked")) == asked


EVERYTHING = "[encoder, gain, entropy, heads, generator, discriminator]"


@pytest.mark.parametrize("setting", ["stages.joint.accumulate=2", f"stages.joint.train={EVERYTHING}"])
def test_with_other_settings_it_resumes_as_exactly(experiment, train: Callable, setting: str):
    """With accumulation, and with a discriminator whose augmentation adapts."""
    killed, whole = weights_of_killed_and_whole(experiment, "joint", lambda **how: train("joint", setting, **how))
    assert all(torch.equal(value, whole[name]) for name, value in killed.items())


PATIENT = ["stages.joint.patience=5", "stages.joint.monitor=val/basic/psnr", "stages.joint.validate_every=4"]


def test_the_last_validation_counts_if_it_was_interrupted(experiment, train: Callable):
    """Of a stage that keeps its best weights; its last step lies between two validations."""
    results = []
    for kill in (("joint", 6, signal.SIGKILL), None):
        shutil.rmtree(experiment.runs, ignore_errors=True)
        if kill:
            assert train("joint", *PATIENT, kill_validation=kill) == KILLED
        assert train("joint", *PATIENT) == 0
        done = experiment.done("joint")
        assert done["steps"] == 6
        results.append((done["metrics"], experiment.weights("joint")))
    (killed, weights), (whole, expected) = results
    assert killed == whole
    assert killed["samples_seen"] == experiment.done("joint")["samples_seen"], "the last step was the best"
    assert all(torch.equal(value, expected[name]) for name, value in weights.items())


@pytest.mark.parametrize("stage", ["prior", "joint"])
def test_a_projected_discriminator_resumes_as_exactly(
    experiment, train_in_process: Callable[..., int], against_projected: Callable[[str], list[str]], stage: str
):
    words = against_projected(stage)
    killed, whole = weights_of_killed_and_whole(
        experiment, stage, lambda **how: train_in_process(experiment, *words, **how)
    )
    assert any(name.startswith("decoder.discriminator.heads.") for name in killed)
    assert "decoder.discriminator.channels0" in killed
    assert not any("features" in name or "_blocks" in name for name in killed)
    assert all(torch.equal(value, whole[name]) for name, value in killed.items())
    (released,) = experiment.folder().glob("*.safetensors")
    assert not any("discriminator" in name for name in load_file(released))


def weights_of_killed_and_whole(experiment, stage: str, run: Callable[..., int]) -> Iterator[dict[str, torch.Tensor]]:
    """A stage's weights after a run that was killed past a checkpoint and resumed, and after an uninterrupted one."""
    for kill in ((stage, 4, signal.SIGKILL), None):
        shutil.rmtree(experiment.runs, ignore_errors=True)
        if kill:
            assert run(kill=kill) == KILLED
        assert run() == 0
        yield experiment.weights(stage)
