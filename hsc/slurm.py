"""Requeueing of a SLURM job that is preempted or reaches its time limit."""

import os
import signal
import subprocess
import sys
from types import FrameType
from typing import NoReturn

PREEMPTED = signal.SIGUSR1
TERMINATED = 143
RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")  # set by torchrun, by Lightning for processes it starts, and by srun


def in_slurm() -> bool:
    """Whether this process belongs to a SLURM job."""
    return "SLURM_JOB_ID" in os.environ


def requeue_when_preempted() -> None:
    """Outside of training, during loading and between stages, requeue a SLURM job immediately on USR1.

    To be called before heavy imports: an earlier signal would end the job for good.
    """
    if in_slurm():
        signal.signal(PREEMPTED, _requeue_at_once)


def requeue() -> None:
    """Ask SLURM, once for all processes of the job, to requeue it; training resumes when it is restarted."""
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
