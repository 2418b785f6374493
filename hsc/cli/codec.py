"""`hsc encode` and `hsc decode`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from hsc.cli import files
from hsc.cli.encoding import Settings, alignment_warning, encode_batch, in_cluster
from hsc.cli.exits import warn
from hsc.errors import HscError

if TYPE_CHECKING:
    from hsc.codec import Codec


class Decoded(NamedTuple):
    """One picture that was written."""

    width: int
    height: int
    held: int  # layers decoded
    damage: str | None  # description of damage in the file after those layers


Model = Annotated[
    str,
    typer.Option(metavar="MODEL", help="A released name, a run folder or a weights file; default: ffhq128."),
]
Device = Annotated[str, typer.Option(metavar="DEVICE", help="Where the networks run: auto, cpu, cuda, cuda:1, …")]
Layers = Annotated[int | None, typer.Option(min=1, metavar="K", help="Only the first K layers; default: all.")]
Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="OUT",
        help="Output file or folder (FOLDER/ is created), - for standard output; default: beside the input.",
    ),
]


def encode(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGE|DIR",
            parser=files.source_path,
            help="A square aligned face, or a folder of them; - for standard input.",
        ),
    ],
    output: Output = None,
    layers: Layers = None,
    quality: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="Q", help="0 is the fewest bytes, 2.5 is between 2 and 3; default: near 100 bytes."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--bytes", min=1, metavar="N", help="The highest quality whose file fits N bytes.")
    ] = None,
    model: Model = "",
    device: Device = "auto",
    align: Annotated[
        bool, typer.Option("--align", help="Find the largest face of a photograph and crop it as FFHQ does.")
    ] = False,
    keep_crop: Annotated[
        bool, typer.Option("--keep-crop", help="With --align: also save the crop, as NAME.crop.png.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Warn of pictures that do not look aligned; of a folder, of the first few."),
    ] = False,
    place: Annotated[
        Literal["local", "ray"],
        typer.Option("--on", help="Encode here, or on a Ray cluster that reads the same folders."),
    ] = "local",
    force: files.Force = False,
) -> None:
    """Encode faces into .hsc files; prints bytes and bpp.

    The same command resumes an interrupted folder.

    \b
    Examples:
      hsc encode face.png
      hsc encode face.png -o small.hsc --bytes 80
      hsc encode faces/ -o coded/ --layers 2 --quality 0
      hsc encode - < face.png | hsc decode - > decoded.png
      hsc encode photograph.jpg --align --keep-crop
      hsc encode faces/ -o coded/ --on ray
    """
    if quality is not None and limit is not None:
        raise typer.BadParameter("--quality and --bytes cannot be combined")
    if keep_crop and not align:
        raise typer.BadParameter("--keep-crop saves the crop made by --align: give both")
    if keep_crop and place == "ray":
        raise typer.BadParameter("--keep-crop cannot be combined with --on ray")
    import hsc
    from hsc.coding.container import is_coded
    from hsc.data.pictures import pictures_among
    from hsc.files import is_stream, write_atomically

    jobs = files.plan(source, output, pictures_among, files.ENCODED)
    files.check_outputs(jobs, Path(model), is_coded, force)
    if keep_crop and any(is_stream(job.target) for job in jobs):
        raise typer.BadParameter("--keep-crop writes beside the .hsc file: give -o FILE")
    crops = {job: job._replace(target=job.target.with_suffix(".crop.png")) for job in jobs} if keep_crop else {}
    files.check_outputs(list(crops.values()), Path(model), files.made_here, force)
    codec, settings = hsc.load(model, device), Settings(quality, limit, layers, align)
    _check_range("--layers", layers, 1, len(codec.layers))
    _check_range("--quality", quality, 0, codec.num_qualities - 1)
    if check and (warning := alignment_warning([job.source for job in jobs])):
        warn(warning)
    if place == "ray" and is_stream(source):
        raise typer.BadParameter("--on ray needs files that every node can read, not a stream")
    if place == "ray":
        spread = in_cluster(codec, model, settings)
    else:
        spread = files.in_threads(lambda batch: encode_batch(codec, settings, batch))

    sizes: dict[files.Job, tuple[int, ...]] = {}
    with _resumed(source, output, files.ENCODED, codec, {"encode": [*settings, keep_crop]}) as finished:
        sizes.update({job: finished.values(job) for job in jobs if job in finished})
        for job, encoded in files.run_batches(jobs, spread, "encoding", finished):
            if keep_crop and encoded.crop is not None:
                files.write_picture(crops[job].target, encoded.crop)
            write_atomically(job.target, encoded.data)
            sizes[job] = len(encoded.data), encoded.pixels
            finished.add(job, sizes[job])
            files.tell(job, f"{len(encoded.data)} bytes, {8 * len(encoded.data) / encoded.pixels:.4f} bpp")
    if len(sizes) > 1:
        size, pixels = (sum(column) for column in zip(*sizes.values(), strict=True))
        typer.echo(f"{len(sizes)} files, {size / len(sizes):.1f} bytes on average, {8 * size / pixels:.4f} bpp")


def decode(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.hsc|DIR",
            parser=files.source_path,
            help="A coded face, or a folder of them; - for standard input.",
        ),
    ],
    output: Output = None,
    layers: Layers = None,
    native: Annotated[bool, typer.Option("--native", help="Keep the model's own size, not the original's.")] = False,
    side: Annotated[
        int | None, typer.Option(min=8, max=8192, metavar="S", help="Pixels on a side; default: the original's.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail on a damaged file instead of decoding its intact layers.")
    ] = False,
    model: Model = "",
    force: files.Force = False,
    device: Device = "auto",
) -> None:
    """Decode .hsc files into pictures.

    PNG unless the ending of OUT says otherwise. The same command resumes an interrupted folder.

    \b
    Examples:
      hsc decode face.hsc -o face.png
      hsc decode face.hsc --layers 1 -o basic.png
      hsc decode coded/ -o decoded/ --native
      hsc decode face.hsc -o large.png --side 1024
    """
    import hsc
    from hsc.codec import batches
    from hsc.coding.container import read_file
    from hsc.images import pictures_at_once, to_pil

    jobs = files.plan(source, output, files.coded_among, files.DECODED)
    files.check_pictures([job.target for job in jobs], [Path(model), *(job.source for job in jobs)], force)
    codec = hsc.load(model, device)
    _check_range("--layers", layers, 1, len(codec.layers))
    if native and side:
        raise typer.BadParameter("--native and --side cannot be combined")
    drawing = Lock()  # one picture at a time: a header may ask for many pixels

    def work(batch: list[files.Job]) -> list[Decoded]:
        written = []
        for part in batches(batch, pictures_at_once(codec.size)):
            with _naming_released_models():
                decoded = codec.decode([read_file(job.source) for job in part], layers, strict)
            with drawing:
                pictures = codec.pictures(decoded, native, side)
                for job, picture, held, damage in zip(part, pictures, decoded.held, decoded.damage, strict=True):
                    files.write_picture(job.target, to_pil(picture))
                    written.append(Decoded(picture.shape[-1], picture.shape[-2], held, damage))
        return written

    with _resumed(source, output, files.DECODED, codec, {"decode": [layers, native, strict, side]}) as finished:
        for job, decoded in files.run_batches(jobs, files.in_threads(work), "decoding", finished):
            if decoded.damage:
                warn(f"{job.source}: {decoded.damage}; decoded from the layers before that")
            if layers and decoded.held < layers and not decoded.damage:
                there = ", ".join(codec.layers[: decoded.held])
                warn(f"{job.source}: has only {there}; decoded that")
            finished.add(job, ())
            files.tell(job, f"{decoded.width}x{decoded.height}")


def _resumed(
    source: Path, output: str | None, naming: files.Naming, codec: "Codec", settings: dict[str, Any]
) -> files.Finished:
    """The files that an interrupted run on the same folder finished; none for a single file."""
    if not source.is_dir():
        return files.Finished(None, {})
    return files.Finished(files.output_folder(source, output, naming), {**settings, "model": codec.weights_hash})


@contextmanager
def _naming_released_models() -> Iterator[None]:
    """If a rejected file was made by a released codec, name that codec in the error."""
    from hsc.codec import OtherModel
    from hsc.codec_file import released_codec

    try:
        yield
    except OtherModel as error:
        if (released := released_codec(error.model_id)) is None:
            raise
        raise HscError(
            f"the file was made by {released.name}, this is {error.given}: add --model {released.name}"
        ) from error


def _check_range(option: str, value: float | None, lowest: int, highest: int) -> None:
    if value is not None and not lowest <= value <= highest:
        raise typer.BadParameter(f"{option} goes from {lowest} to {highest} with this model, not {value}")
