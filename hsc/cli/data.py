"""`hsc data`."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def data() -> None:
    """Make data sets of faces.

    \b
    Example:
      hsc data sample faces.zip --count 200 --seed 1
    """


@app.command()
def sample(
    out: Annotated[Path, typer.Argument(metavar="OUT.zip", help="The zip to write.")],
    count: Annotated[int, typer.Option(min=1, metavar="N", help="How many faces.")],
    seed: Annotated[int, typer.Option(metavar="S", help="The same seed gives the same faces.")] = 0,
) -> None:
    """Write a zip of generated faces: something to try every verb on without a data set.

    \b
    Example:
      hsc data sample faces.zip --count 200 --seed 1
    """
    from hsc.data.sample import sample as generate

    generate(out, count=count, seed=seed)
    typer.echo(f"{out}: {count} generated faces")
