"""Trials on a Ray cluster, with resources for each. Its machines share the folders of the sweep and of the data.

Ray only says where a trial runs: what was tried, and what is to be done when a machine is lost, is the sweep's own.
"""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hsc import die_with_parent
from hsc.errors import HscError
from hsc.sweeps.processes import GRACE


class RemoteProcess:
    """A command on some machine of the cluster."""

    def __init__(self, reference: Any) -> None:
        self._reference = reference
        self.identity: dict[str, Any] = {}  # with the sweep's connection the cluster ends its commands too
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


class Cluster:
    """Starts trials where `cpus` and `gpus` are free. jobs: how many at a time; 0: as many as there is room for.

    address: of a running cluster; None: RAY_ADDRESS, else a cluster of this machine alone.
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
        # A lost machine is the sweep's to answer, which resumes a trial from its checkpoint and counts attempts.
        self._task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=0)(run_here)

    def start(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> RemoteProcess:
        return RemoteProcess(self._task.remote(list(command), dict(environment), str(log.resolve()), os.getcwd()))

    def close(self) -> None:
        """Leave the cluster, or end the one that was started here."""
        import ray

        if self._ours:
            ray.shutdown()


def room(resources: Mapping[str, float], cpus: float, gpus: float) -> int:
    """How many trials fit into a cluster. Raises HscError where none does."""
    wanted = {"CPU": cpus, "GPU": gpus}
    counts = [int(resources.get(name, 0) / amount) for name, amount in wanted.items() if amount]
    if not counts:
        raise HscError("--on ray: a trial takes something: give --cpus or --gpus")
    if min(counts) < 1:
        raise HscError(
            f"--on ray: the cluster has {resources.get('CPU', 0):g} processors and {resources.get('GPU', 0):g} GPUs, "
            f"too few for a trial of --cpus {cpus:g} --gpus {gpus:g}"
        )
    return min(counts)


def run_here(command: list[str], environment: dict[str, str], log: str, folder: str) -> str:
    """On the machine that Ray has chosen: run the command to its end; returns how it ended, in words.

    When Ray cancels it, or its worker dies, the command is told to end.
    """
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as output:
        process = subprocess.Popen(
            [sys.executable, die_with_parent.__file__, str(os.getpid()), *command],
            env={**os.environ, **environment},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while process.poll() is None:
            try:  # in short waits, between which a cancellation is noticed
                process.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        raise
    status = process.returncode
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
