"""`hsc data`."""

from pathlib import Path
from typing import Annotated

import typer

from hsc.cli.files import Force
from hsc.cli.prepare import prepare

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.command()(prepare)


@app.callback()
def data() -> None:
    """Make data sets of faces.

    \b
    Examples:
      hsc data examples examples/
      hsc data prepare photographs/ faces.zip --size 256
      hsc data sample faces.zip --count 200 --seed 1
    """


@app.command()
def examples(
    out: Annotated[Path, typer.Argument(metavar="DIR", help="The folder for them; it is made.")],
    size: Annotated[int, typer.Option(min=8, metavar="S", help="Pixels a side.")] = 256,
    force: Force = False,
) -> None:
    """Write a few example faces: aligned portraits, CC0.

    No codec was trained on them.

    \b
    Examples:
      hsc data examples examples/
      hsc data examples small/ --size 128
    """
    from hsc.data.examples import write_examples

    written = write_examples(out, size, force)
    typer.echo(f"{out}: {len(written)} example faces (AI-made portraits, CC0)")


@app.command()
def sample(
    out: Annotated[Path, typer.Argument(metavar="OUT.zip", help="The zip to write.")],
    count: Annotated[int, typer.Option(min=1, metavar="N", help="How many faces.")],
    seed: Annotated[int, typer.Option(metavar="S", help="The same seed gives the same faces.")] = 0,
    generator: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A generator's file or name; default: the prior that comes with hsc.",
        ),
    ] = None,
    truncation: Annotated[
        float, typer.Option(min=0, max=1, metavar="T", help="1: all the variety; towards 0: the average face.")
    ] = 0.7,
    truncation_to: Annotated[
        float | None,
        typer.Option(min=0, max=1, metavar="T", help="Draw each face's own, up to T."),
    ] = None,
    mixing: Annotated[
        float, typer.Option(min=0, max=1, metavar="P", help="The probability that a face mixes two styles.")
    ] = 0.0,
    size: Annotated[int | None, typer.Option(min=8, metavar="S", help="Pixels; default: the generator's own.")] = None,
    force: Force = False,
) -> None:
    """Write a zip of generated faces.

    They serve to try every verb without a data set. The styles that they are drawn from lie beside them.

    \b
    Examples:
      hsc data sample faces.zip --count 200 --seed 1
      hsc data sample ffhq.zip --count 4000 --generator ffhq1024 --size 128 --truncation-to 1 --mixing 0.5
    """
    from hsc.data.sample import Recipe
    from hsc.data.sample import sample as generate
    from hsc.files import refuse_overwriting, zip_made_here

    refuse_overwriting([out], [Path(generator or "")], zip_made_here, force)
    recipe = Recipe(seed, (truncation, truncation if truncation_to is None else truncation_to), mixing)
    generate(out, count, recipe, generator, size)
    typer.echo(f"{out}: {count} generated faces")
