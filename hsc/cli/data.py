"""`hsc data`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hsc.cli.codec import Device
from hsc.cli.files import Force
from hsc.progress import number_of

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


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
def prepare(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Photographs: a folder, a zip or a tar.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="OUT.zip, or OUT for a folder of WebDataset shards.")],
    size: Annotated[int, typer.Option(min=8, max=4096, metavar="S", help="Side of the crops in pixels.")],
    faces: Annotated[
        Literal["largest", "all"],
        typer.Option(metavar="WHICH", help="Faces to take from each photograph: largest or all."),
    ] = "largest",
    kind: Annotated[
        Literal["jpg", "webp", "png"],
        typer.Option("--format", metavar="KIND", help="Image format: jpg, webp or png."),
    ] = "jpg",
    min_side: Annotated[
        float, typer.Option(min=0, metavar="PX", help="Skip faces whose crop is smaller in the photograph.")
    ] = 64.0,
    min_sharpness: Annotated[
        float, typer.Option(min=0, metavar="V", help="Skip blurred faces: variance of the Laplacian.")
    ] = 30.0,
    max_turn: Annotated[
        float,
        typer.Option(
            min=0, metavar="T", help="Skip turned heads: nose offset from the midpoint of the eyes, in eye distances."
        ),
    ] = 0.7,
    max_nod: Annotated[
        float, typer.Option(min=0, metavar="N", help="Skip heads looking far up or down; 0.5: keep all.")
    ] = 0.4,
    max_distance: Annotated[
        int,
        typer.Option(
            min=-1, max=255, metavar="BITS", help="Skip near-duplicates: differing bits of perceptual hashes; -1: keep."
        ),
    ] = 24,
    validation: Annotated[
        str, typer.Option(metavar="N|P%", help="People for validation: how many, or a share by a hash of their names.")
    ] = "10%",
    test: Annotated[str, typer.Option(metavar="N|P%", help="The same for testing.")] = "10%",
    per_shard: Annotated[int, typer.Option(min=1, metavar="N", help="Faces per shard.")] = 1000,
    workers: Annotated[int | None, typer.Option(min=1, metavar="N", help="Processes; default: one per core.")] = None,
    force: Force = False,
) -> None:
    """Make a set of aligned faces from photographs.

    Faces are detected, cropped as in FFHQ, checked, and split by person: a photograph's folder names the person, and
    photographs in one common folder count as different people. A manifest of all measurements (OUT.manifest.jsonl) and
    a contact sheet (OUT.html) are written beside OUT. The same command resumes an interrupted run.

    \b
    Examples:
      hsc data prepare photographs/ faces.zip --size 256
      hsc data prepare party.tar.gz guests.zip --size 128 --faces all
      hsc data prepare photographs/ shards --size 128 --format webp --test 0
    """
    from hsc.data.prepare import Settings
    from hsc.data.prepare import prepare as make

    settings = Settings(
        size, faces, kind, min_side, min_sharpness, max_turn, max_nod, max_distance, validation, test, per_shard
    )
    report = make(source, out, settings, workers, force)
    kept = ", ".join(f"{split} {count}" for split, count in report.splits.items())
    made, photographs = number_of(sum(report.splits.values()), "face"), number_of(report.photographs, "photograph")
    typer.echo(f"{out}: {made} of {photographs} ({kept})")
    if report.skipped:
        typer.echo("skipped: " + ", ".join(f"{reason} {count}" for reason, count in report.skipped.items()))
    typer.echo(f"{report.manifest}\n{report.sheet}")


@app.command()
def examples(
    out: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write, created if missing.")],
    size: Annotated[int, typer.Option(min=8, metavar="S", help="Side in pixels.")] = 256,
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
    typer.echo(f"{out}: {len(written)} example faces (AI-generated portraits, CC0)")


@app.command()
def sample(
    out: Annotated[Path, typer.Argument(metavar="OUT.zip", help="The zip to write.")],
    count: Annotated[int, typer.Option(min=1, metavar="N", help="How many faces.")],
    seed: Annotated[int, typer.Option(metavar="S", help="The same seed gives the same faces.")] = 0,
    generator: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A generator's file or name; default: prior128.",
        ),
    ] = None,
    truncation: Annotated[
        float, typer.Option(min=0, max=1, metavar="T", help="1: full variety; towards 0: the average face.")
    ] = 0.7,
    truncation_to: Annotated[
        float | None,
        typer.Option(min=0, max=1, metavar="T", help="Draw each face's truncation between --truncation and T."),
    ] = None,
    mixing: Annotated[
        float, typer.Option(min=0, max=1, metavar="P", help="The probability that a face mixes two styles.")
    ] = 0.0,
    size: Annotated[int | None, typer.Option(min=8, metavar="S", help="Pixels, at most the generator's own.")] = None,
    device: Device = "auto",
    force: Force = False,
) -> None:
    """Write a zip of generated faces.

    Useful for trying hsc without a data set. The zip includes the W+ of each face, for stages that learn from it.

    \b
    Examples:
      hsc data sample faces.zip --count 200 --seed 1
      hsc data sample ffhq.zip --count 4000 --generator ffhq1024 --mixing 0.5
    """
    from hsc.data.sample import Recipe
    from hsc.data.sample import sample as generate
    from hsc.files import refuse_overwriting, zip_made_here

    refuse_overwriting([out], [Path(generator or "")], zip_made_here, force)
    recipe = Recipe(seed, (truncation, truncation if truncation_to is None else truncation_to), mixing)
    generate(out, count, recipe, generator, size, device)
    typer.echo(f"{out}: {count} generated faces")
