"""`hsc show`."""

from pathlib import Path
from typing import Annotated

import typer

from hsc.cli.codec import Device, Model
from hsc.cli.files import Force


def show(
    faces: Annotated[list[Path], typer.Argument(metavar="FACE...", help="Square aligned faces.")],
    out: Annotated[Path, typer.Option("-o", "--output", metavar="OUT.png", help="The picture to write.")] = Path(
        "layers.png"
    ),
    limit: Annotated[
        int | None, typer.Option("--bytes", min=1, metavar="N", help="Bytes per file; default: near 100.")
    ] = None,
    anchors: Annotated[
        str, typer.Option(metavar="NAMES", help="Codecs to show beside it, as in hsc evaluate.")
    ] = "av1,vvc",
    model: Model = "",
    force: Force = False,
    device: Device = "auto",
) -> None:
    """Draw the reconstruction from each layer, beside other codecs.

    One row per face. Other codecs code the face at the model's own size, in at most as many bytes. Layers are decoded
    at the model's full size if it has one.

    \b
    Examples:
      hsc show face.png
      hsc show face.png other.png -o layers.png --bytes 175 --anchors av1,jxl
    """
    import hsc
    from hsc.cli.evaluate import names_in
    from hsc.cli.files import check_pictures, write_picture
    from hsc.evaluation.anchors import AnchorNotAvailable, load_anchor
    from hsc.evaluation.selection import available
    from hsc.evaluation.sheet import layers_sheet
    from hsc.images import to_tensors

    check_pictures([out], [*faces, Path(model)], force)
    codec = hsc.load(model, device)
    others = available(load_anchor, names_in(anchors), AnchorNotAvailable)
    write_picture(out, layers_sheet(codec, list(to_tensors(faces)[1]), limit, others))
    typer.echo(str(out))
