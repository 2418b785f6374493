"""`hsc prior`: import, export and sample generators."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hsc.cli.codec import Device
from hsc.cli.files import Force

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from hsc.nets.generator import Generator

TRUNCATIONS = (0.0, 0.3, 0.5, 0.7, 0.85, 1.0)
BANDS = (0, 3, 7)  # first row of W+ of each layer of a file
Sheet = Literal["truncation", "mixing"]  # the kinds of sheets of faces
app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Checkpoint = Annotated[
    Path, typer.Argument(metavar="FILE", help="NVlabs' .pkl, rosinality's or pSp's .pt, or hsc's .safetensors.")
]


@app.callback()
def prior() -> None:
    """Import, export and sample generators.

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
        float, typer.Option(min=0, max=1, metavar="T", help="1: full variety; towards 0: the average face.")
    ] = 0.7,
    sheet: Annotated[
        Sheet | None,
        typer.Option(help="One row per face: its truncations, or rows of W+ exchanged with the next face."),
    ] = None,
    size: Annotated[int | None, typer.Option(min=8, metavar="S", help="Pixels of a face, at most its own.")] = None,
    device: Device = "auto",
    force: Force = False,
) -> None:
    """Sample faces from a generator.

    \b
    Examples:
      hsc prior sample prior128 faces.png --count 16 --seed 1
      hsc prior sample ffhq1024 mixing.png --sheet mixing --count 4 --size 256
    """
    if sheet == "mixing" and count < 2:
        raise typer.BadParameter("--sheet mixing mixes each face with the next: give --count 2 or more")
    import torch
    import torch.nn.functional as F
    from PIL import Image

    from hsc.checkpoints import load_generator
    from hsc.cli.files import check_pictures, write_picture
    from hsc.data.sample import check_size
    from hsc.devices import find_device
    from hsc.images import to_uint8
    from hsc.nets.generator import images_at_a_time
    from hsc.progress import number_of, progress
    from hsc.released import find_weights

    weights = find_weights(file)
    check_pictures([out], [weights], force)
    place = find_device(device)
    generator = load_generator(weights).to(place)
    check_size(generator, size, weights.stem)
    side = size or generator.size
    z = torch.randn(count, generator.z_dim, generator=torch.Generator().manual_seed(seed)).to(place)
    with torch.inference_mode():
        styles = generator.mapping(z, truncation) if sheet is None else _sheet_styles(generator, sheet, z, truncation)
        faces = []
        with progress(len(styles), "drawing faces") as advance:
            for ws in styles.split(images_at_a_time(generator.size)):
                faces += [*to_uint8(F.interpolate(generator.synthesis(ws).float(), side, mode="area"))]
                advance(len(ws))
    write_picture(out, Image.fromarray(_grid(faces, len(faces) // count if sheet else None)))
    typer.echo(f"{out}: {number_of(len(faces), 'face')} of {side}x{side}")


def _sheet_styles(generator: "Generator", sheet: Sheet, z: "Tensor", truncation: float) -> "Tensor":
    """W+ [N · columns, rows, w_dim], row by row of the sheet. Mixing: face i, then face i with each band of rows
    replaced by that of face i + 1 in turn, then face i + 1.
    """
    import torch

    if sheet == "truncation":
        ws = generator.mapping(z)
        return torch.stack([generator.mean_w.lerp(ws, psi) for psi in TRUNCATIONS], 1).flatten(0, 1)
    ws = generator.mapping(z, truncation)
    other, rows = ws.roll(-1, 0), torch.arange(generator.num_rows, device=z.device)[:, None]
    ends = zip(BANDS, [*BANDS[1:], generator.num_rows], strict=True)
    mixed = [torch.where((rows >= first) & (rows < end), other, ws) for first, end in ends]
    return torch.stack([ws, *mixed, other], 1).flatten(0, 1)


def _grid(faces: "list[np.ndarray]", columns: int | None = None) -> "np.ndarray":
    """Faces [S, S, 3] → one picture [rows·S, columns·S, 3], as close to square as possible; unused tiles are black."""
    import numpy as np

    columns = columns or math.ceil(math.sqrt(len(faces)))
    rows = math.ceil(len(faces) / columns)
    blank = [np.zeros_like(faces[0])] * (rows * columns - len(faces))
    cells = np.stack(faces + blank).reshape(rows, columns, *faces[0].shape)
    return np.concatenate(np.concatenate(cells, 1), 1)
