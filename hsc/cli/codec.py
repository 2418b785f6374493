"""`hsc encode`, `hsc decode`, `hsc inspect`."""

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hsc.cli import files
from hsc.cli.exits import complain
from hsc.errors import HscError

if TYPE_CHECKING:
    from torch import Tensor

    from hsc.codec import Codec

Model = Annotated[
    str,
    typer.Option(metavar="MODEL", help="A released name, a run folder or a weights file; default: the shipped codec."),
]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="OUT", help="File or folder to write; default: beside the input."),
]


def encode(
    source: Annotated[Path, typer.Argument(metavar="IMAGE|DIR", help="A square aligned face, or a folder of them.")],
    output: Output = None,
    layers: Annotated[
        int | None, typer.Option(min=1, metavar="K", help="Only the first K layers; default: all.")
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(min=0, metavar="Q", help="0 is the fewest bytes; default: nearest to 100 bytes at 128x128."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--bytes", min=1, metavar="N", help="The highest quality whose file fits N bytes.")
    ] = None,
    model: Model = "",
) -> None:
    """Encode faces into .hsc files; prints bytes and bpp.

    \b
    Examples:
      hsc encode face.png
      hsc encode face.png -o small.hsc --bytes 80
      hsc encode faces/ -o coded/ --layers 2 --quality 0
    """
    if quality is not None and limit is not None:
        raise typer.BadParameter("--quality and --bytes exclude each other")
    import hsc
    from hsc.data.faces import IMAGE_SUFFIXES
    from hsc.files import write_atomically

    jobs = files.plan(source, output, IMAGE_SUFFIXES, files.ENCODED)

    codec = hsc.load(model)
    _check_range("--layers", layers, 1, len(codec.layers))
    _check_range("--quality", quality, 0, codec.num_qualities - 1)

    def work(batch: list[files.Job]) -> list[tuple[bytes, int]]:
        return _encode_batch(codec, [job.source for job in batch], quality, limit, layers)

    written = []
    for job, (data, pixels) in files.run_batches(jobs, work, "encoding"):
        write_atomically(job.target, data)
        written.append((len(data), pixels))
        typer.echo(f"{job.target}: {len(data)} bytes, {8 * len(data) / pixels:.4f} bpp")
    if len(written) > 1:
        size, pixels = (sum(column) for column in zip(*written, strict=True))
        typer.echo(f"{len(written)} files, {size / len(written):.1f} bytes on average, {8 * size / pixels:.4f} bpp")


def decode(
    source: Annotated[Path, typer.Argument(metavar="FILE.hsc|DIR", help="A coded face, or a folder of them.")],
    output: Output = None,
    layers: Annotated[
        int | None, typer.Option(min=1, metavar="K", help="Only the first K layers; default: all.")
    ] = None,
    native: Annotated[bool, typer.Option("--native", help="Keep the model's own size, not the original's.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail on a torn file, not warn and decode what is whole.")
    ] = False,
    model: Model = "",
) -> None:
    """Decode .hsc files into pictures.

    PNG unless the ending of OUT says otherwise.

    \b
    Examples:
      hsc decode face.hsc -o face.png
      hsc decode face.hsc --layers 1 -o basic.png
      hsc decode coded/ -o decoded/ --native
    """
    jobs = files.plan(source, output, {".hsc"}, files.DECODED)

    import hsc
    from hsc.codec import DamagedFile

    codec = hsc.load(model)
    _check_range("--layers", layers, 1, len(codec.layers))

    def work(batch: list[files.Job]) -> list[tuple["Tensor", str | None]]:
        coded = [job.source.read_bytes() for job in batch]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DamagedFile)  # reported below, by the file's name
            images = codec.decompress(coded, layers=layers, native=native, strict=strict)
        return [(image, codec.open(data).damage) for image, data in zip(images, coded, strict=True)]

    for job, (image, damage) in files.run_batches(jobs, work, "decoding"):
        if damage:
            complain(f"{job.source}: {damage}; decoded from the layers before that")
        files.write_picture(job.target, image)
        typer.echo(f"{job.target}: {image.shape[-1]}x{image.shape[-2]}")


def _encode_batch(
    codec: "Codec", sources: list[Path], quality: int | None, limit: int | None, layers: int | None
) -> list[tuple[bytes, int]]:
    """The file and the pixel count of each image; images of one size go through the network together."""
    import torch

    from hsc.images import load_image, to_tensor

    images = {source: to_tensor(load_image(source)) for source in sources}
    for source, image in images.items():
        _check_square(source, image)
    coded: dict[Path, tuple[bytes, int]] = {}
    for group in files.group_by(sources, lambda source: images[source].shape):
        batch = torch.stack([images[source] for source in group])  # [N, 3, S, S]
        if limit is None:
            results = codec.compress(batch, quality=quality, layers=layers)
        else:
            results = _compress_within(codec, batch, limit, layers)
        coded.update({source: (data, batch[0, 0].numel()) for source, data in zip(group, results, strict=True)})
    return [coded[source] for source in sources]


def _compress_within(codec: "Codec", images: "Tensor", limit: int, layers: int | None) -> list[bytes]:
    """Each image [N, 3, S, S] at the highest quality whose file has at most `limit` bytes.

    Qualities are tried from the highest down, for size need not fall with every step.
    """
    best: dict[int, bytes] = {}
    waiting, fewest = list(range(len(images))), math.inf
    for quality in reversed(range(codec.num_qualities)):
        tried = codec.compress(images[waiting], quality=quality, layers=layers)
        best.update({index: data for index, data in zip(waiting, tried, strict=True) if len(data) <= limit})
        waiting = [index for index in waiting if index not in best]
        if not waiting:
            return [best[index] for index in range(len(images))]
        fewest = min(fewest, *map(len, tried))
    raise HscError(
        f"no quality fits {limit} bytes: the smallest file has {fewest}; allow more bytes or drop a layer with --layers"
    )


def _check_square(source: Path, image: "Tensor") -> None:
    height, width = image.shape[-2:]
    if height != width:
        raise HscError(
            f"{source} is {width}x{height}, and hsc codes square pictures of aligned faces: crop the face first"
        )


def _check_range(option: str, value: int | None, lowest: int, highest: int) -> None:
    if value is not None and not lowest <= value <= highest:
        raise typer.BadParameter(f"{option} goes from {lowest} to {highest} with this model, not {value}")
