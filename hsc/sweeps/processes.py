"""Trials as processes of this machine."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hsc import die_with_parent

GRACE = 60.0  # seconds to save and end after SIGTERM


class Process:
    """A running command, its own process group; what it says is added to `log`."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, die_with_parent.__file__, str(os.getpid()), *command],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the sweep, which then ends its trials in order
            )
        self.identity: dict[str, Any] = {"pid": self._process.pid, "born": _born(self._process.pid)}

    def ended(self) -> str | None:
        """How it ended, in words; None while it runs."""
        status = self._process.poll()
        if status is None:
            return None
        # What it may have started: the other processes of a training on several devices.
        _signal_group(self._process.pid, signal.SIGKILL)
        return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"

    def stop(self) -> None:
        """Ask it to save and end; returns at once."""
        _signal_group(self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        _signal_group(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Processes:
    """Starts trials here, `slots` at a time, each with its share of the GPUs."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._taken: dict[int, Process] = {}

    def start(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
        self._taken = {slot: process for slot, process in self._taken.items() if process.ended() is None}
        slot = next(slot for slot in range(self.slots) if slot not in self._taken)
        share = gpu_share(slot, self.slots, _visible_gpus() if self.slots > 1 else [])
        if share:
            environment = {**environment, "CUDA_VISIBLE_DEVICES": ",".join(share)}
        self._taken[slot] = Process(command, environment, log)
        return self._taken[slot]

    def close(self) -> None:
        """Nothing to give back."""


def gpu_share(slot: int, slots: int, gpus: Sequence[str]) -> Sequence[str]:
    """The GPUs of one of several trials at a time: even shares, or one that others use too."""
    if len(gpus) < slots:
        return gpus[slot % len(gpus) : slot % len(gpus) + 1] if gpus else []
    return gpus[slot * len(gpus) // slots : (slot + 1) * len(gpus) // slots]


def end_leftover(identity: Mapping[str, Any]) -> None:
    """End a process that a sweep, which has died, had started; returns when it is gone."""
    pid, born = identity.get("pid"), identity.get("born")
    if pid is None or born is None or _born(pid) != born:
        return
    _signal_group(pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while _born(pid) == born and time.monotonic() < deadline:
        time.sleep(0.1)
    if _born(pid) == born:
        _signal_group(pid, signal.SIGKILL)


def _born(pid: int) -> str | None:
    """When a living process was started, as the system counts: tells it from a later one with its number."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # a name may hold anything
        state, born = fields[0], fields[19]
    except OSError:
        if sys.platform == "linux":
            return None
        found = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True).stdout
        state, _, born = found.strip().partition(" ")
    return born if born and not state.startswith("Z") else None


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _visible_gpus() -> list[str]:
    if configured := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return configured.split(",")
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]
