"""`hsc data prepare`."""

from pathlib import Path
from typing import Annotated

import typer

from hsc.cli.files import Force


def prepare(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Photographs: a folder, a zip or a tar.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="OUT.zip, or OUT for a folder of WebDataset shards.")],
    size: Annotated[int, typer.Option(min=8, max=4096, metavar="S", help="Side of the crops, pixels.")],
    faces: Annotated[str, typer.Option(metavar="WHICH", help="Of each photograph: largest or all.")] = "largest",
    kind: Annotated[str, typer.Option("--format", metavar="KIND", help="Of the crops: jpg, webp or png.")] = "jpg",
    min_side: Annotated[
        float, typer.Option(min=0, metavar="PX", help="Skip faces whose square is smaller in the photograph.")
    ] = 64.0,
    min_sharpness: Annotated[
        float, typer.Option(min=0, metavar="V", help="Skip blurred faces: variance of the Laplacian.")
    ] = 30.0,
    max_turn: Annotated[
        float,
        typer.Option(min=0, metavar="T", help="Skip turned heads: nose from the eyes' middle, in eye distances."),
    ] = 0.7,
    max_nod: Annotated[
        float, typer.Option(min=0, metavar="N", help="Skip heads looking far up or down; 0.5 is all there is.")
    ] = 0.4,
    max_distance: Annotated[
        int,
        typer.Option(min=-1, max=255, metavar="BITS", help="Skip near-duplicates by their perceptual hash; -1: keep."),
    ] = 24,
    validation: Annotated[
        str, typer.Option(metavar="N|P%", help="People for validation: how many, or a share by a hash of their names.")
    ] = "10%",
    test: Annotated[str, typer.Option(metavar="N|P%", help="The same for testing.")] = "10%",
    per_shard: Annotated[int, typer.Option(min=1, metavar="N", help="Faces in a shard.")] = 1000,
    workers: Annotated[int | None, typer.Option(min=1, metavar="N", help="Processes; default: one a core.")] = None,
    force: Force = False,
) -> None:
    """Make a set of aligned faces from photographs.

    Faces are found, cut out as FFHQ's are, judged, and split by identity: the folder a photograph lies in or, where all
    lie in one, the photograph itself. Beside OUT come a manifest of everything measured (OUT.manifest.jsonl) and a
    contact sheet (OUT.html). Interrupted, it goes on where it stopped when the command is given again.

    \b
    Examples:
      hsc data prepare photographs/ faces.zip --size 256
      hsc data prepare party.tar.gz guests.zip --size 128 --faces all --min-side 100
      hsc data prepare photographs/ shards --size 512 --format webp --validation 5% --test 0
    """
    from hsc.data.prepare import Settings
    from hsc.data.prepare import prepare as make

    settings = Settings(
        size, faces, kind, min_side, min_sharpness, max_turn, max_nod, max_distance, validation, test, per_shard
    )
    report = make(source, out, settings, workers, force)
    kept = ", ".join(f"{split} {count}" for split, count in report.splits.items())
    typer.echo(f"{out}: {sum(report.splits.values())} faces of {report.photographs} photographs ({kept})")
    if report.skipped:
        typer.echo("skipped: " + ", ".join(f"{reason} {count}" for reason, count in report.skipped.items()))
    typer.echo(f"{report.manifest}\n{report.sheet}")
