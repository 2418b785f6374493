"""`hsc data`."""

from pathlib import Path
from typing import Annotated

import typer

from hsc.cli.prepare import prepare

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.command()(prepare)


@app.callback()
def data() -> None:
    """Make data sets of faces.

    \b
    Examples:
      hsc data prepare photographs/ faces.zip --size 256
      hsc data sample faces.zip --count 200 --seed 1
    """


@app.command()
def sample(
    out: Annotated[Path, typer.Argument(metavar="OUT.zip", help="The zip to write.")],
    count: Annotated[int, typer.Option(min=1, metavar="N", help="How many faces.")],
    seed: Annotated[int, typer.Option(metavar="S", help="The same seed gives the same faces.")] = 0,
    generator: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A generator of any layout; default: the prior that comes with hsc."),
    ] = None,
    truncation: Annotated[
        float, typer.Option(min=0, max=1, metavar="T", help="1: all the variety; towards 0: the average face.")
    ] = 0.7,
    size: Annotated[int | None, typer.Option(min=8, metavar="S", help="Pixels; default: the generator's own.")] = None,
) -> None:
    """Write a zip of generated faces: something to try every verb on without a data set.

    \b
    Example:
      hsc data sample faces.zip --count 200 --seed 1
    """
    from hsc.data.sample import sample as generate

    generate(out, count, seed, generator, truncation, size)
    typer.echo(f"{out}: {count} generated faces")
