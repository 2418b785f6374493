"""A preempted SLURM job, or one at its time limit: it asks to be requeued."""

import os
import signal
import subprocess
import sys
from types import FrameType
from typing import NoReturn

PREEMPTED = signal.SIGUSR1
TERMINATED = 143
RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")  # of torchrun, of processes that Lightning has started, of srun


def in_slurm() -> bool:
    """Whether this process belongs to a SLURM job."""
    return "SLURM_JOB_ID" in os.environ


def requeue_when_preempted() -> None:
    """Outside of training, while things load and between stages, USR1 in a SLURM job requeues it at once.

    To be called before anything heavy is imported: a signal that comes earlier ends the job for good.
    """
    if in_slurm():
        signal.signal(PREEMPTED, _requeue_at_once)


def requeue() -> None:
    """Ask SLURM, once for all processes of the job, to start it again when there is room; training then resumes."""
    if next((os.environ[key] for key in RANKS if key in os.environ), "0") != "0":
        return
    job = os.environ["SLURM_JOB_ID"]
    if array := os.environ.get("SLURM_ARRAY_JOB_ID"):
        job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    try:
        asked = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True)
        failed = asked.stderr.strip() or f"exit status {asked.returncode}" if asked.returncode else ""
    except OSError as error:
        failed = str(error)
    if failed:
        print(f"job {job} was not requeued ({failed}): submit it again to resume training", file=sys.stderr, flush=True)
    else:
        print(f"job {job} is requeued", flush=True)


def _requeue_at_once(number: int, frame: FrameType | None) -> NoReturn:
    requeue()
    raise SystemExit(TERMINATED)
