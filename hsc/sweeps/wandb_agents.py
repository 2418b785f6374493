"""`hsc sweep --on wandb`: the sweep is on W&B's server, from which agents on any number of hosts get their trials."""

import os
import shlex
import signal
import subprocess
from collections.abc import Callable

from hsc.errors import HscError
from hsc.sweeps.command import checked
from hsc.sweeps.search import propose
from hsc.sweeps.sweep_file import Sweep

DEFAULT_PROJECT = "hsc"


def run(sweep: Sweep, agents: int, count: int | None, say: Callable[[str], None]) -> None:
    """Create the sweep, print how to join it from elsewhere, and run agents here until they have ended.

    Raises HscError if no one is logged in, or the first trial could not work.
    """
    import wandb

    first = propose(sweep, [])
    assert first is not None
    checked(sweep, first)
    if os.environ.get("WANDB_MODE") in ("offline", "disabled") or not wandb.login(prompt=False):
        raise HscError("no W&B account: run `wandb login` first, or use --on local, which needs none")
    project, entity = sweep.project or DEFAULT_PROJECT, sweep.entity
    identity = wandb.sweep(dict(sweep.content), entity=entity, project=project)
    join = agent_command(identity, project, entity or wandb.Api().default_entity, count)
    say(f"more agents, here or on any host with hsc, this folder's files and the data: {shlex.join(join)}")
    work([join] * agents)


def agent_command(identity: str, project: str, entity: str | None, count: int | None) -> list[str]:
    """The command of a sweep's agent. It forwards signals to the trial, which then saves."""
    path = "/".join(filter(None, (entity, project, identity)))
    limit = [] if count is None else ["--count", str(count)]
    return ["wandb", "agent", "--forward-signals", *limit, path]


def work(commands: list[list[str]]) -> None:
    """Run the agents to their end; Ctrl-C is passed to them, and through them to the trials."""
    processes = [subprocess.Popen(words) for words in commands]
    try:
        for process in processes:
            process.wait()
    except BaseException:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait()
        raise
