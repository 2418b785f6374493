"""`hsc prior`: generators from elsewhere, to elsewhere, and pictures of what they know."""

import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsc.cli.codec import Device
from hsc.cli.files import Force

if TYPE_CHECKING:
    from torch import Tensor

    from hsc.nets.generator import Generator

TRUNCATIONS = (0.0, 0.3, 0.5, 0.7, 0.85, 1.0)
BANDS = (0, 3, 7)  # first rows of W+ of the layers of a file


class Sheet(StrEnum):
    """What is laid out on a sheet of faces."""

    truncation = "truncation"
    mixing = "mixing"


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
    """Convert a generator to hsc's weights file.

    Nothing stored in FILE is executed.

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
    sheet: Annotated[
        Sheet | None,
        typer.Option(help="A row for each of N faces: its truncations, or the rows of W+ that it takes from another."),
    ] = None,
    size: Annotated[int | None, typer.Option(min=8, metavar="S", help="Pixels of a face, at most its own.")] = None,
    device: Device = "auto",
    force: Force = False,
) -> None:
    """Draw faces from a generator.

    \b
    Examples:
      hsc prior sample prior128 faces.png --count 16 --seed 1
      hsc prior sample ffhq1024 mixing.png --sheet mixing --count 4 --size 256
    """
    import torch
    import torch.nn.functional as F

    from hsc.checkpoints import load_generator
    from hsc.cli.files import made_here, write_picture
    from hsc.devices import find_device
    from hsc.files import refuse_overwriting
    from hsc.nets.generator import images_at_a_time
    from hsc.released import find_weights

    refuse_overwriting([out], [find_weights(file)], made_here, force)
    place = find_device(device)
    generator = load_generator(find_weights(file)).to(place)
    z = torch.randn(count, generator.z_dim, generator=torch.Generator().manual_seed(seed)).to(place)
    side = min(size or generator.size, generator.size)
    with torch.inference_mode():
        styles = generator.mapping(z, truncation) if sheet is None else _sheet_styles(generator, sheet, z, truncation)
        parts = (generator.synthesis(ws).float() for ws in styles.split(images_at_a_time(generator.size)))
        images = torch.cat([F.interpolate(part, side, mode="area").cpu() for part in parts])
    write_picture(out, _grid(images, len(images) // count if sheet else None))
    typer.echo(f"{out}: {len(images)} faces of {side}x{side}")


def _sheet_styles(generator: "Generator", sheet: Sheet, z: "Tensor", truncation: float) -> "Tensor":
    """W+ [N · columns, rows, w_dim], one row of the sheet after the other. Mixing: face i, then the same with each band
    of rows of face i + 1 in turn, then face i + 1.
    """
    import torch

    if sheet is Sheet.truncation:
        ws = generator.mapping(z)
        return torch.stack([generator.mean_w.lerp(ws, psi) for psi in TRUNCATIONS], 1).flatten(0, 1)
    ws = generator.mapping(z, truncation)
    other, rows = ws.roll(-1, 0), torch.arange(generator.num_rows, device=z.device)[:, None]
    ends = zip(BANDS, [*BANDS[1:], generator.num_rows], strict=True)
    mixed = [torch.where((rows >= first) & (rows < end), other, ws) for first, end in ends]
    return torch.stack([ws, *mixed, other], 1).flatten(0, 1)


def _grid(images: "Tensor", columns: int | None = None) -> "Tensor":
    """[N, 3, S, S] → one picture [3, rows·S, columns·S], as near to a square as N allows; unused places black."""
    import torch

    count, _, size, _ = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    blank = images.new_full((rows * columns - count, 3, size, size), -1)
    cells = torch.cat([images, blank]).unflatten(0, (rows, columns))  # [rows, columns, 3, S, S]
    return cells.permute(2, 0, 3, 1, 4).reshape(3, rows * size, columns * size)
