"""`hsc sweep`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hsc.cli.exits import FAILED
from hsc.cli.files import Force


def sweep(
    file: Annotated[Path | None, typer.Argument(metavar="SWEEP.yaml", help="A W&B sweep file.")] = None,
    on: Annotated[
        Literal["local", "wandb", "ray"],
        typer.Option(metavar="PLACE", help="local: this machine, no account; wandb: W&B agents; ray: a Ray cluster."),
    ] = "local",
    jobs: Annotated[
        int | None,
        typer.Option(min=1, metavar="J", help="Trials at a time (default 1; on Ray as many as fit)."),
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="At most N trials (on W&B: per agent started here).")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help="The folder of the sweep (default runs/sweeps/NAME).")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Continue the sweep in DIR; finished trials are not repeated.")
    ] = None,
    retries: Annotated[int, typer.Option(min=0, metavar="N", help="How often a killed trial is resumed.")] = 2,
    cpus: Annotated[float, typer.Option(min=0, metavar="N", help="On Ray: processor cores per trial.")] = 1,
    gpus: Annotated[float, typer.Option(min=0, metavar="N", help="On Ray: GPUs per trial, such as 0.5.")] = 0,
    address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="On Ray: the cluster (default RAY_ADDRESS, else a local one)."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the file and show the trials' commands.")] = False,
    force: Force = False,
) -> None:
    """Train an experiment many times with different field values.

    The same file runs here, by W&B agents or on a Ray cluster. Stages shared by several trials are trained once.
    Afterwards DIR contains index.html, tables and `best`, the best trial's run folder.

    \b
    Examples:
      hsc sweep sweeps/smoke.yaml
      hsc sweep sweeps/rate.yaml --jobs 2 --dry-run
      hsc sweep --resume runs/sweeps/smoke
      hsc sweep sweeps/tasks.yaml --on ray --cpus 4 --gpus 1
    """
    if (file is None) == (resume is None):
        raise typer.BadParameter("give a sweep file, or --resume DIR to continue a sweep")

    from hsc.sweeps import run, wandb_agents
    from hsc.sweeps.report import report
    from hsc.sweeps.sweep_file import read_sweep

    settings = run.Settings(on, jobs if jobs is not None else run.DEFAULT_JOBS[on], count, retries, cpus, gpus, address)
    if dry_run:
        wanted = read_sweep(file) if file is not None else run.opened(run.SweepFolder(resume or Path()))[0]
        for line in run.preview(wanted, settings):
            typer.echo(line)
    elif on == "wandb":
        if file is None:
            raise typer.BadParameter("W&B manages its own sweeps: start another agent with the command that it printed")
        wandb_agents.run(read_sweep(file), settings.jobs, count, say)
    else:
        try:
            if file is not None:
                place = run.start(file, folder, settings, say, force)
            else:
                place = run.resume(resume or Path(), count, jobs, say)
        except KeyboardInterrupt:
            say(f"interrupted; resume with: hsc sweep --resume {resume or folder or 'runs/sweeps/NAME'}")
            raise
        if not report(place):
            raise typer.Exit(FAILED)


def say(line: str) -> None:
    """Print a line of progress, flushed."""
    typer.echo(line)
