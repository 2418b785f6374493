"""Worker processes end with the process that started them, however it ends."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pictures import write_pictures

READS_IMAGES = """
import multiprocessing, os, signal, sys
import hsc.data.dataset as dataset
from hsc.data.module import FaceDataModule
dataset.CACHE_BYTES = 0
batches = iter(FaceDataModule(sys.argv[1], 16, train="*", validation=None, batch_size=4, workers=2).train_dataloader())
next(batches)
print(*(child.pid for child in multiprocessing.active_children()), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
IS_BUSY = """
import multiprocessing, os, signal, sys, time
from concurrent.futures import ProcessPoolExecutor
from hsc.die_with_parent import die_with_parent
if __name__ == "__main__":
    pool = ProcessPoolExecutor(2, multiprocessing.get_context(sys.argv[1]), die_with_parent)
    list(pool.map(abs, range(2)))
    running = [pool.submit(time.sleep, 600) for _ in range(2)]
    time.sleep(0.2)
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def workers_of_killed(program: Path, *arguments: str) -> list[int]:
    """Process ids of the workers that the program had when it killed itself."""
    ended = subprocess.run([sys.executable, program, *arguments], stdout=subprocess.PIPE, text=True, timeout=120)
    assert ended.returncode == -signal.SIGKILL
    return [int(pid) for pid in ended.stdout.split()]


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def assert_gone(pids: list[int]) -> None:
    assert len(pids) == 2
    deadline = time.monotonic() + 3
    while any(map(lives, pids)):
        assert time.monotonic() < deadline, "workers outlive their parent"
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("how", ["loader", "fork", "spawn", "forkserver"])
def test_workers(tmp_path: Path, how: str):
    """Workers of an image loader, and busy workers with every start method."""
    program, faces = tmp_path / "program.py", write_pictures(tmp_path / "faces", 8)
    program.write_text(READS_IMAGES if how == "loader" else IS_BUSY)
    assert_gone(workers_of_killed(program, str(faces) if how == "loader" else how))
