"""`hsc inspect`."""

import itertools
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from hsc.cli.files import source_path
from hsc.errors import HscError


@dataclass
class LayerReport:
    """One layer of a file; a later layer needs those before it."""

    name: str
    bytes: int  # of its chunk: length, payload, checksum
    bits: int  # of its payload alone
    bytes_so_far: int  # header and all chunks up to this one: the length of a file that ends here
    bpp_so_far: float


@dataclass
class Report:
    """Information that a file contains about itself."""

    file: str
    bytes: int
    model: str | None  # name of the released codec it was made with; None for your own codec
    model_id: int
    quality: float | None  # in levels; None for your own codec, whose number of levels is not in the file
    quality_byte: int  # of the header
    width: int  # pixels
    height: int
    layers: list[LayerReport]
    damage: str | None


def inspect(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE.hsc", parser=source_path, help="A coded face; - for standard input."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Show a file's model, quality, size and layers.

    \b
    Examples:
      hsc inspect face.hsc
      hsc inspect face.hsc --json
      hsc encode face.png -o - | hsc inspect -
    """
    report = describe(file)
    typer.echo(json.dumps(asdict(report), indent=2) if as_json else _as_text(report))


def describe(file: Path) -> Report:
    """Read the header and the chunks of a file; nothing is decoded."""
    from hsc.codec_file import released_codec
    from hsc.coding import container

    data = container.read_file(file)
    try:
        header, chunks, damage, ends = container.read(data)
    except HscError as error:
        raise HscError(f"{file}: {error}") from error
    released = released_codec(header.model_id)
    names = released.layers if released else [f"layer {number}" for number in range(1, len(chunks) + 1)]
    layers = []
    for name, payload, (before, end) in zip(names, chunks, itertools.pairwise(ends), strict=False):
        bpp = 8 * end / (header.width * header.height)
        layers.append(LayerReport(name, end - before, 8 * len(payload), end, round(bpp, 6)))
    model = released.name if released else None
    quality = round(released.quality(header), 3) if released else None
    about = header.model_id, quality, header.quality, header.width, header.height
    return Report(str(file), len(data), model, *about, layers, damage)


def _as_text(report: Report) -> str:
    lines = [
        f"{report.file}: {report.bytes} bytes, {8 * report.bytes / (report.width * report.height):.4f} bpp",
        f"model     {report.model or 'one of your own'}, id {report.model_id:04x}",
        f"quality   {'' if report.quality is None else f'{report.quality:g}, '}byte {report.quality_byte}",
        f"size      {report.width}x{report.height}",
        f"{'layer':<10}{'bytes':>8}{'bits':>8}{'so far':>8}{'bpp':>9}",
    ]
    if report.layers:
        header = report.layers[0].bytes_so_far - report.layers[0].bytes
        lines.append(f"{'header':<10}{header:>8}{8 * header:>8}{header:>8}")
    lines += [
        f"{layer.name:<10}{layer.bytes:>8}{layer.bits:>8}{layer.bytes_so_far:>8}{layer.bpp_so_far:>9.4f}"
        for layer in report.layers
    ]
    return "\n".join(lines + ([f"damage: {report.damage}"] if report.damage else []))
