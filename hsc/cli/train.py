"""`hsc train`."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from hsc.cli.exits import warn
from hsc.progress import status
from hsc.slurm import requeue_when_preempted


def train(
    arguments: Annotated[
        list[str],
        typer.Argument(metavar="FILE.yaml|key=value", help="Experiment files, merged in order; then overrides."),
    ],
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also show messages of Lightning, W&B and other packages.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show only warnings and the run folder.")] = False,
) -> None:
    """Train the stages of an experiment, or resume them.

    Finished stages are skipped; an unfinished one resumes where it stopped.

    Files are merged in the order given, later ones win; key=value (or --key=value) overrides any field.

    \b
    Examples:
      hsc train experiments/quickstart.yaml
      hsc train experiments/quickstart.yaml seed=1 defaults.batch_size=16
      hsc train experiments/quickstart.yaml my-data.yaml --stages.joint.steps=2000
    """
    requeue_when_preempted()
    files, overrides = split_overrides(arguments)
    if not files:
        raise typer.BadParameter("name an experiment file, for example: hsc train experiments/quickstart.yaml")

    if verbose and quiet:
        raise typer.BadParameter("--verbose and --quiet cannot be combined")
    if not verbose:
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # DDP's remarks; torch reads this as it is imported
    with _saying_how_to_go_on(arguments):
        with status("loading"):
            from hsc.training import train as run_stages

        folder = run_stages(files, overrides, "verbose" if verbose else "quiet" if quiet else "normal")

    from pytorch_lightning.utilities import rank_zero_only

    rank_zero_only(typer.echo)(f"run folder: {folder}")


@contextmanager
def _saying_how_to_go_on(arguments: list[str]) -> Iterator[None]:
    """Print how to resume, after Ctrl-C or SIGTERM, on standard error."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if os.environ.get("LOCAL_RANK", "0") == "0":
            command = shlex.join(["hsc", "train", *arguments])
            warn(f"interrupted; finished stages and checkpoints are kept; resume with: {command}")
        raise


def split_overrides(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Files and `key=value` overrides; an override may be written `--key=value`, as W&B agents do."""
    files, overrides = [], []
    for argument in arguments:
        name = argument.removeprefix("--")
        if "=" in name:
            overrides.append(name)
        elif argument.startswith("-"):
            raise typer.BadParameter(f"{argument} has no value; write it as {name.lstrip('-')}=VALUE")
        else:
            files.append(argument)
    return files, overrides
