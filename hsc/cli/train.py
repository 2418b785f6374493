"""`hsc train`."""

from typing import Annotated

import typer

from hsc.slurm import requeue_when_preempted


def train(
    arguments: Annotated[
        list[str],
        typer.Argument(metavar="FILE.yaml|key=value", help="Files merge in order; then overrides."),
    ],
) -> None:
    """Run the stages of an experiment, or resume them.

    Finished stages are skipped and an unfinished one goes on where it stopped.

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

    from hsc.training import train as run_stages

    folder = run_stages(files, overrides)

    from pytorch_lightning.utilities import rank_zero_only

    rank_zero_only(typer.echo)(f"run folder: {folder}")


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
