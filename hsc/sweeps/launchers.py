"""Launchers of trials: as processes on this machine, or on a Ray cluster with resources for each."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hsc import die_with_parent
from hsc.errors import HscError

GRACE = 60.0  # seconds to save and end after SIGTERM


class Process:
    """A running command in its own process group; its output is appended to `log`."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._process = _begin(command, environment, log)
        self.identity: dict[str, Any] = {"pid": self._process.pid, "born": _born(self._process.pid)}

    def ended(self) -> str | None:
        """How it ended, as text; None while it runs."""
        status = self._process.poll()
        if status is None:
            return None
        # Processes it may have started, such as those of a training on several devices.
        _signal_group(self._process.pid, signal.SIGKILL)
        return _how(status)

    def stop(self) -> None:
        """Ask it to save and end; returns immediately."""
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
        """There is nothing to release."""


class RemoteProcess:
    """A command on a machine of the cluster."""

    def __init__(self, reference: Any) -> None:
        self._reference = reference
        self.identity: dict[str, Any] = {}  # the cluster ends its commands when the sweep disconnects
        self._ended: str | None = None

    def ended(self) -> str | None:
        import ray

        if self._ended is None:
            ready, _ = ray.wait([self._reference], timeout=0)
            if ready:
                try:
                    self._ended = ray.get(self._reference)
                except ray.exceptions.TaskCancelledError:
                    self._ended = "cancelled"
                except ray.exceptions.RayError as error:
                    self._ended = f"lost: {type(error).__name__}"
        return self._ended

    def stop(self) -> None:
        import ray

        ray.cancel(self._reference)

    def kill(self) -> None:
        import ray

        ray.cancel(self._reference, force=True)


class RayCluster:
    """Starts trials on machines of a Ray cluster where `cpus` and `gpus` are free; they share the folders of the sweep
    and of the data.

    Ray only decides where a trial runs: the record of trials and the response to a lost machine belong to the sweep.
    jobs: trials at a time; 0: as many as fit. address: of a running cluster; None: RAY_ADDRESS, else a cluster of this
    machine alone.
    """

    def __init__(self, jobs: int, cpus: float, gpus: float, address: str | None) -> None:
        try:
            import ray
        except ModuleNotFoundError as error:
            raise HscError("--on ray needs Ray: pip install 'hsc[ray]'") from error
        self._ours = not ray.is_initialized()
        if self._ours:
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            except ConnectionError as error:
                raise HscError(f"no Ray cluster answers at {address}; start one with: ray start --head") from error
        self.slots = jobs or room(ray.cluster_resources(), cpus, gpus)
        # Lost machines are handled by the sweep, which resumes a trial from its checkpoint and counts attempts.
        self._task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(_run_here)

    def start(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> RemoteProcess:
        return RemoteProcess(self._task.remote(list(command), dict(environment), str(log.resolve()), os.getcwd()))

    def close(self) -> None:
        """Disconnect from the cluster, or end the one that was started here."""
        import ray

        if self._ours:
            ray.shutdown()


Running = Process | RemoteProcess
Launcher = Processes | RayCluster


def gpu_share(slot: int, slots: int, gpus: Sequence[str]) -> Sequence[str]:
    """The GPUs of one of several concurrent trials: an equal share, or one GPU shared with others."""
    if len(gpus) < slots:
        return gpus[slot % len(gpus) : slot % len(gpus) + 1] if gpus else []
    return gpus[slot * len(gpus) // slots : (slot + 1) * len(gpus) // slots]


def room(resources: Mapping[str, float], cpus: float, gpus: float) -> int:
    """How many trials fit on a cluster. Raises HscError if none does."""
    wanted = {"CPU": cpus, "GPU": gpus}
    counts = [int(resources.get(name, 0) / amount) for name, amount in wanted.items() if amount]
    if not counts:
        raise HscError("--on ray: a trial needs resources: give --cpus or --gpus")
    if min(counts) < 1:
        raise HscError(
            f"--on ray: the cluster has {resources.get('CPU', 0):g} processors and {resources.get('GPU', 0):g} GPUs, "
            f"too few for a trial of --cpus {cpus:g} --gpus {gpus:g}"
        )
    return min(counts)


def end_leftover(identity: Mapping[str, Any]) -> None:
    """End a process that was started by a sweep that has died; returns when it is gone."""
    pid, born = identity.get("pid"), identity.get("born")
    if pid is None or born is None or _born(pid) != born:
        return
    _signal_group(pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while _born(pid) == born and time.monotonic() < deadline:
        time.sleep(0.1)
    if _born(pid) == born:
        _signal_group(pid, signal.SIGKILL)


def _run_here(command: list[str], environment: dict[str, str], log: str, folder: str) -> str:
    """Run the command to its end on the machine that Ray has chosen; returns how it ended, as text.

    If Ray cancels it, or its worker dies, the command gets SIGTERM.
    """
    process = _begin(command, environment, Path(log), folder)
    try:
        while process.poll() is None:
            try:  # short waits, so that a cancellation is noticed
                process.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
    except BaseException:
        _signal_group(process.pid, signal.SIGTERM)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            _signal_group(process.pid, signal.SIGKILL)
        raise
    return _how(process.returncode)


def _begin(
    command: Sequence[str], environment: Mapping[str, str], log: Path, folder: str | None = None
) -> subprocess.Popen:
    """Start a command that ends with this process, in its own process group; its output is appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as output:
        return subprocess.Popen(
            [sys.executable, die_with_parent.__file__, str(os.getpid()), *command],
            env={**os.environ, **environment},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C goes to the sweep only, which then ends its trials in order
        )


def _how(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def _born(pid: int) -> str | None:
    """Start time of a living process, in the system's units: distinguishes it from a later one with the same pid."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # a process name may contain anything
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
