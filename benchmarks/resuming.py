"""Whether training that is killed again and again ends with the very weights of training left alone.

    python benchmarks/resuming.py [--kills 20] [--processes 1] [--seed 0]

A small experiment of three stages (adversarial prior, one layer, joint) is trained once without interruption, with
images read by two worker processes. Then once more, while all its processes get SIGKILL at random moments: after a
random number of steps since they were started, and a random part of a second. When it ends before the kills are used
up, it begins anew. Every stage's weights and both released files must then be equal to the byte. `--processes 2`
trains under DDP (gloo) as torchrun starts it. Exits with 1 where anything differs.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import socket
import sys
import tempfile
import time
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from hsc.files import sha256

LAYERS = ("basic", "middle", "enhanced")
STAGES = {
    "prior": {
        "module": "prior",
        "train": ["encoder", "heads", "generator", "mapping", "discriminator"],
        "adversarial": {"r1_every": 2, "ada_kimg": 0.05},
        "steps": 30,
    },
    "basic": {"layers": ["basic"], "steps": 30},
    "joint": {"train": ["encoder", "gain", "entropy", "heads", "generator"], "round_after": 0.6, "steps": 60},
}
MOST_STEPS = 12  # between a start and the kill that follows


def write_experiment(folder: Path, processes: int) -> Path:
    """20 pictures, and three stages that are saved every fourth step and validated every tenth."""
    noise = np.random.default_rng(0)
    with zipfile.ZipFile(folder / "faces.zip", "w") as archive:
        for index in range(20):
            coarse, stream = Image.fromarray(noise.integers(0, 256, (5, 5, 3), dtype=np.uint8)), BytesIO()
            coarse.resize((40, 40), Image.Resampling.BICUBIC).save(stream, "PNG")
            archive.writestr(f"{index:02d}.png", stream.getvalue())
    content = {
        "name": "killed",
        "device": "cpu",
        "devices": processes,
        "model": {
            "layers": {name: {"rows": rows, "dim": 8} for name, rows in zip(LAYERS, (2, 2, 4), strict=True)},
            "lambdas": [0.1, 0.01],
            "heads_hidden": 16,
            "generator": {"channels": [16] * 4, "z_dim": 16, "w_dim": 16, "mapping_layers": 2},
            "encoder": {"channels": [16] * 4, "pyramid_channels": 32},
            "entropy": {"width": 16, "depth": 1, "heads": 2},
        },
        "judges": {"identity": "none", "landmarks": "none", "perceptual": ["psnr"]},
        "logging": {"wandb": "disabled"},
        "defaults": {
            "data": {"path": str(folder / "faces.zip"), "train": "00-15", "validation": "16-19", "workers": 2},
            "losses": {layer: {"l2": 1} for layer in LAYERS},
            "precision": "32-true",
            "batch_size": 4,
            "warmup": 2,
            "ema_kimg": 0.01,
            "save_every": 4,
            "validate_every": 10,
            "log_every": 1,
        },
        "stages": STAGES,
        "run": list(STAGES),
    }
    (folder / "killed.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return folder / "killed.yaml"


def train(file: Path, runs: Path, rank: int, processes: int, port: int) -> None:
    """One process of `hsc train`, in a group with what it starts."""
    os.setsid()
    runs.mkdir(parents=True, exist_ok=True)
    with open(runs.with_name("said.txt"), "a") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    if processes > 1:
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
        group = {"GROUP_RANK": 0, "GROUP_WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in (place | group).items()}, TORCHELASTIC_RUN_ID="killed")
    import torch

    import hsc.data.dataset
    from hsc.cli import main

    torch.set_num_threads(1)
    hsc.data.dataset.CACHE_BYTES = 0  # so that workers read the images
    main(["train", str(file), f"runs={runs}"])


class Attempt:
    """The processes of one start of the training."""

    def __init__(self, context, file: Path, runs: Path, processes: int) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.members = [
            context.Process(target=train, args=(file, runs, rank, processes, port)) for rank in range(processes)
        ]
        for member in self.members:
            member.start()

    def running(self) -> bool:
        return any(member.is_alive() for member in self.members)

    def kill(self) -> None:
        for member in self.members:
            try:
                os.killpg(member.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for member in self.members:
            member.join()

    def end(self) -> None:
        for member in self.members:
            member.join()
            assert member.exitcode == 0, f"ended with {member.exitcode}"


def steps_logged(runs: Path) -> int:
    """Lines of all logs: one a step."""
    return sum(path.read_bytes().count(b"\n") for path in runs.glob("killed/*/log/*/metrics.csv"))


def results(runs: Path) -> dict[str, str]:
    """Hash of everything that training leaves for use."""
    return {str(path.relative_to(runs)): sha256(path) for path in sorted(runs.rglob("*.safetensors"))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    chance = random.Random(chosen.seed)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["hsc.cli", "hsc.training"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = write_experiment(folder, chosen.processes)
        Attempt(context, file, folder / "alone" / "runs", chosen.processes).end()
        expected = results(folder / "alone" / "runs")
        killed: list[str] = []
        rounds = 0
        while len(killed) < chosen.kills:
            rounds += 1
            runs = folder / f"round{rounds}" / "runs"
            while True:
                before, wanted = steps_logged(runs), chance.randint(1, MOST_STEPS)
                attempt = Attempt(context, file, runs, chosen.processes)
                while attempt.running() and (len(killed) == chosen.kills or steps_logged(runs) - before < wanted):
                    time.sleep(0.01)
                time.sleep(chance.uniform(0, 0.3))
                if len(killed) == chosen.kills or not attempt.running():
                    attempt.end()
                    break
                attempt.kill()
                done = [stage for stage in STAGES if (runs / "killed" / stage / "done.json").exists()]
                killed.append(next((stage for stage in STAGES if stage not in done), "release"))
            different = [name for name, digest in results(runs).items() if expected.get(name) != digest]
            assert results(runs).keys() == expected.keys()
            if different:
                sys.exit(f"round {rounds}: differ after {len(killed)} kills: {', '.join(different)}")
    where = {stage: killed.count(stage) for stage in dict.fromkeys(killed)}
    print(
        f"{len(killed)} kills of {chosen.processes} process(es), {json.dumps(where)}, in {rounds} round(s) of training"
    )
    print(f"{len(expected)} files equal to the byte after each round")


if __name__ == "__main__":
    main()
