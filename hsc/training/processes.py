"""Several processes of one training, started by Lightning, by torchrun or by SLURM's srun."""

import os
from typing import NamedTuple

import torch
from pytorch_lightning.plugins.environments import SLURMEnvironment

from hsc.die_with_parent import die_with_parent
from hsc.errors import HscError


class Launched(NamedTuple):
    """What has started the processes, how many there are in all, and on how many machines."""

    by: str
    processes: int
    nodes: int


def launched() -> Launched | None:
    """None where this process was started alone, and Lightning starts the others."""
    environment = os.environ
    if torch.distributed.is_torchelastic_launched():
        return Launched("torchrun", int(environment["WORLD_SIZE"]), int(environment["GROUP_WORLD_SIZE"]))
    if SLURMEnvironment.detect():
        return Launched("srun", int(environment["SLURM_NTASKS"]), int(environment.get("SLURM_NNODES", 1)))
    return None


def end_with_first() -> None:
    """In a process that Lightning has started beside the first: end when that one does, however it ends."""
    if launched() is None and "LOCAL_RANK" in os.environ:
        die_with_parent()


def check_devices(device: str, devices: int) -> None:
    """Raise HscError where `device` is not there, or fewer of them than `devices`, or where other processes run than
    `devices` asks for: they would train past each other.
    """
    found = launched()
    there = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    there["gpu"] = max(there.values())
    here = devices if found is None else devices // found.nodes
    if device == "auto" and there["gpu"]:
        device = "gpu"
    if device in there and there[device] < here:
        what = f"has {there[device]}" if there[device] else "has none"
        raise HscError(
            f"config: device: {device}: this machine {what}, and devices is {devices}; give device=cpu or auto"
        )
    if found is not None and found.processes != devices:
        raise HscError(
            f"config: devices is {devices}, but {found.by} runs {found.processes} processes; "
            f"give devices={found.processes}, or start {devices}"
        )


def must_meet_first() -> bool:
    """Whether there are processes that do not know each other yet: before the first stage that torchrun or SLURM
    trains, and in processes that Lightning has started to train a stage with the first one.
    """
    found = launched()
    processes = found.processes if found is not None else int(os.environ.get("WORLD_SIZE", 1))
    return processes > 1 and not torch.distributed.is_initialized()
