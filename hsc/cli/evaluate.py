"""`hsc evaluate` and `hsc compare`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hsc.cli.codec import Device
from hsc.cli.files import Force


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A released name, a run folder or a weights file.")],
    data: Annotated[
        Path, typer.Option(metavar="PATH", help="A folder or zip of aligned faces the model was not trained on.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for results.json and per_image.csv.")],
    anchors: Annotated[
        str,
        typer.Option(metavar="NAMES", help="Codecs to compare with: vvc,hevc,av1,jxl,jpeg,… or package.module:Class."),
    ] = "",
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Code only the first N images; the gallery keeps all.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Images to use: a range of names, a glob or a percentage. Default: those the model was "
            "validated on, where it says which, else all.",
        ),
    ] = None,
    qualities: Annotated[
        str, typer.Option(metavar="NUMBERS", help="Qualities of MODEL to measure, such as 0,2,4; default: all.")
    ] = "",
    judges: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Only these judges, such as lpips.vgg,dlib68 or package.module:Class.",
        ),
    ] = "",
    at_bytes: Annotated[
        str, typer.Option(metavar="SIZES", help="Also code anchors at these sizes, in bytes per image: 100,200,400.")
    ] = "",
    at_bpp: Annotated[str, typer.Option(metavar="RATES", help="The same in bits per pixel: 0.05,0.1.")] = "",
    faces: Annotated[
        int, typer.Option(min=0, metavar="N", help="Keep pictures of the first N faces for the page of hsc compare.")
    ] = 12,
    people: Annotated[
        bool, typer.Option("--people", help="Also verify and identify people; each folder holds one person's pictures.")
    ] = False,
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Measure a codec, layer by layer, beside other codecs.

    Every layer is measured at every quality: file size, and image quality by judges that were not used as losses.
    The same command resumes an interrupted evaluation.

    \b
    Examples:
      hsc evaluate codec.safetensors --data faces.zip --out results/codec
      hsc evaluate runs/a --data faces/ --anchors vvc,jpeg --limit 99 --out a
      hsc evaluate runs/a --data faces/ --anchors av1 --at-bytes 110,200 --out a
      hsc evaluate runs/a --data ffhq128.zip --split 04000-04499 --out a
      hsc evaluate runs/a --data f.zip --qualities 0,3 --judges vgg16,dlib --out a
    """
    from hsc.data.places import resolve_data
    from hsc.evaluation.compare import show_results
    from hsc.evaluation.evaluate import JUDGES, OUTPUTS
    from hsc.evaluation.evaluate import evaluate as measure
    from hsc.evaluation.results import read_results
    from hsc.files import claim_folder

    levels = _whole_numbers("--qualities", qualities) or None
    bytes_asked, rates_asked = _numbers("--at-bytes", at_bytes), _numbers("--at-bpp", at_bpp)
    if (bytes_asked or rates_asked) and not names_in(anchors):
        raise typer.BadParameter("--at-bytes and --at-bpp are sizes of anchors: give --anchors")
    claim_folder(out, "evaluate", OUTPUTS, [resolve_data(data)], force)
    results = measure(
        model,
        data,
        out,
        anchors=names_in(anchors),
        limit=limit,
        split=split,
        qualities=levels,
        judges=names_in(judges) or JUDGES,
        at_bytes=bytes_asked,
        at_bpp=rates_asked,
        pictures=faces,
        people=people,
        device=device,
    )
    show_results(read_results(results))
    typer.echo(f"curves and a page of these and other results: hsc compare {out} --out DIR")
    typer.echo(f"{results}\n{results.with_name('per_image.csv')}")


def compare(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULTS...",
            help="Folders of hsc evaluate, result files, run folders, sweeps, offline W&B runs.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder for index.html and a figure per metric.")],
    reference: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The curve that BD-rates are against; VVC by default, else another anchor."),
    ] = None,
    count: Annotated[
        Literal["files", "pictures"],
        typer.Option(help="What rates count: whole files, or the coded pictures in them without headers."),
    ] = "files",
    force: Force = False,
) -> None:
    """Draw rate-distortion curves and BD-rates on one page.

    Result files are in CompressAI's format, so published ones can be compared with your own. Training runs are shown by
    their last validation, sweeps with a Pareto front.

    \b
    Examples:
      hsc compare results/mine results/other published.json --out comparison
      hsc compare runs/sweeps/rate results/mine --out comparison
      hsc compare results/mine --reference av1 --count pictures --out comparison
    """
    from hsc.evaluation.compare import OUTPUTS
    from hsc.evaluation.compare import compare as draw
    from hsc.files import claim_folder

    claim_folder(out, "compare", OUTPUTS, force=force)
    typer.echo(str(draw(results, out, reference, count)))


def _numbers(option: str, comma_separated: str) -> list[float]:
    try:
        numbers = [float(number) for number in names_in(comma_separated)]
    except ValueError:
        numbers = [-1]
    if any(not 0 < number < float("inf") for number in numbers):
        raise typer.BadParameter(f"{option} takes positive numbers with commas between them, not {comma_separated!r}")
    return numbers


def _whole_numbers(option: str, comma_separated: str) -> list[int]:
    names = names_in(comma_separated)
    if not all(name.isdecimal() for name in names):
        raise typer.BadParameter(f"{option} takes whole numbers with commas between them, not {comma_separated!r}")
    return [int(name) for name in names]


def names_in(comma_separated: str) -> list[str]:
    """The names in an option that takes several."""
    return [name.strip() for name in comma_separated.split(",") if name.strip()]
