"""`hsc prior`: generators from elsewhere, to elsewhere, and pictures of what they know."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsc.cli.files import Force

if TYPE_CHECKING:
    from torch import Tensor

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Checkpoint = Annotated[
    Path, typer.Argument(metavar="FILE", help="NVlabs' .pkl, rosinality's or pSp's .pt, or hsc's .safetensors.")
]


@app.callback()
def prior() -> None:
    """Bring in, hand out and look at StyleGAN2 generators.

    \b
    Example:
      hsc prior import stylegan2-ffhq.pkl prior.safetensors
    """


@app.command("import")
def import_(
    file: Checkpoint,
    out: Annotated[Path, typer.Argument(metavar="OUT.safetensors", help="The weights file to write.")],
    force: Force = False,
) -> None:
    """Convert a generator to hsc's weights file; nothing stored in FILE is executed.

    \b
    Example:
      hsc prior import stylegan2-ffhq.pkl prior.safetensors
    """
    from hsc.checkpoints import import_generator, is_imported
    from hsc.files import refuse_overwriting

    refuse_overwriting([out], [file], is_imported, force)
    typer.echo(import_generator(file, out))


@app.command()
def export(
    file: Checkpoint,
    out: Annotated[Path, typer.Argument(metavar="OUT.pt", help="The checkpoint to write.")],
    layout: Annotated[str, typer.Option(metavar="NAME", help="rosinality, psp or nvlabs.")] = "rosinality",
    force: Force = False,
) -> None:
    """Write a generator as another project's checkpoint.

    \b
    Example:
      hsc prior export prior.safetensors prior.pt --layout psp
    """
    from hsc.checkpoints import LAYOUTS, export_generator
    from hsc.files import refuse_overwriting, zip_made_here

    if layout not in LAYOUTS:
        raise typer.BadParameter(f"--layout is one of {', '.join(LAYOUTS)}, not {layout}")
    refuse_overwriting([out], [file], zip_made_here, force)
    typer.echo(export_generator(file, out, layout))


@app.command()
def sample(
    file: Checkpoint,
    out: Annotated[Path, typer.Argument(metavar="OUT.png", help="The picture to write: a grid of faces.")],
    count: Annotated[int, typer.Option(min=1, metavar="N", help="How many faces.")] = 16,
    seed: Annotated[int, typer.Option(metavar="S", help="The same seed gives the same faces.")] = 0,
    truncation: Annotated[
        float, typer.Option(min=0, max=1, metavar="T", help="1: all the variety; towards 0: the average face.")
    ] = 0.7,
    force: Force = False,
) -> None:
    """Draw faces from a generator.

    \b
    Example:
      hsc prior sample prior64 faces.png --count 16 --seed 1
    """
    import torch

    from hsc.checkpoints import load_face_model
    from hsc.cli.files import made_here, write_picture
    from hsc.files import refuse_overwriting
    from hsc.released import find_weights

    refuse_overwriting([out], [find_weights(file)], made_here, force)
    faces = load_face_model(find_weights(file))
    z = torch.randn(count, faces.z_dim, generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        images = torch.cat([faces.draw(part, truncation) for part in z.split(faces.batch)])
    write_picture(out, _grid(images))
    typer.echo(f"{out}: {count} faces of {faces.size}x{faces.size}")


def _grid(images: "Tensor") -> "Tensor":
    """[N, 3, S, S] → one picture [3, rows·S, columns·S], as near to a square as N allows; unused places black."""
    import torch

    count, _, size, _ = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    blank = images.new_full((rows * columns - count, 3, size, size), -1)
    cells = torch.cat([images, blank]).unflatten(0, (rows, columns))  # [rows, columns, 3, S, S]
    return cells.permute(2, 0, 3, 1, 4).reshape(3, rows * size, columns * size)
