"""Whether training that is killed repeatedly ends with exactly the weights of uninterrupted training.

    python benchmarks/resuming.py [--kills 20] [--processes 1] [--seed 0]

The tests' small experiment of three stages (adversarial prior, one layer, joint) is trained once without interruption,
with images read by two worker processes. Then once more, while all its processes get SIGKILL at random moments: a
random number of steps after they were started, plus a random fraction of a second. If it ends before the last kill, it
starts over. Every stage's weights and both released files must then be byte-identical. `--processes 2` trains under DDP
(gloo) as started by torchrun. Exits with 1 if anything differs.
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
from pathlib import Path

from hsc.files import sha256

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "training")]
from pictures import write_pictures  # noqa: E402
from tiny_experiment import STAGES, write_experiment  # noqa: E402

WORDS = [
    "device=cpu",
    *(f"stages.{stage}.steps={steps}" for stage, steps in (("prior", 30), ("basic", 30), ("joint", 60))),
    "defaults.data.workers=2",
    "defaults.save_every=4",
    "defaults.validate_every=10",
]
MOST_STEPS = 12  # between a start and the kill that follows


def train(file: Path, runs: Path, rank: int, processes: int, port: int) -> None:
    """One process of `hsc train`, in a process group with its children."""
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
    main(["train", str(file), *WORDS, f"devices={processes}", f"runs={runs}"])


class Attempt:
    """The processes of one run of the training."""

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
    """Number of lines in all logs: one per step."""
    return sum(path.read_bytes().count(b"\n") for path in runs.glob("tiny/*/log/*/metrics.csv"))


def results(runs: Path) -> dict[str, str]:
    """Hash of all results of training."""
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
        faces = write_pictures(folder / "faces.zip", 20, 40, squares=5)
        file = write_experiment(faces, folder).file
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
                done = [stage for stage in STAGES if (runs / "tiny" / stage / "done.json").exists()]
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
