"""Pictures to .hsc files, a batch at a time: what `hsc encode` does here and what it sends to a cluster."""

import functools
import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hsc.cli.files import Job, group_by
from hsc.errors import HscError
from hsc.files import is_stream

if TYPE_CHECKING:
    from torch import Tensor

    from hsc.codec import Codec
    from hsc.data.prepare import Aligner

LOOKED_AT = 16


class Settings(NamedTuple):
    """What is asked of every picture; None leaves it to the codec."""

    quality: int | None
    limit: int | None  # bytes, for the highest quality that fits
    layers: int | None
    align: bool = False  # find and crop the face first
    refine: int = 0  # iterations of a search for better latents


class Encoded(NamedTuple):
    """One picture's file."""

    data: bytes
    pixels: int


def encode_batch(codec: "Codec", settings: Settings, batch: list[Job]) -> list[Encoded]:
    """The file of each job's picture; pictures of one size go through the networks together."""
    import torch

    from hsc.images import load_image, to_tensor

    sources = [job.source for job in batch]
    prepared = _aligner().align if settings.align else lambda image: image
    images = {source: to_tensor(prepared(load_image(source))) for source in sources}
    for source, image in images.items():
        _check_square(source, image)
    coded: dict[Path, Encoded] = {}
    for group in group_by(sources, lambda source: images[source].shape):
        stacked = torch.stack([images[source] for source in group])  # [N, 3, S, S]
        pixels = stacked[0, 0].numel()
        coded.update(
            {
                source: Encoded(data, pixels)
                for source, data in zip(group, _files(codec, stacked, settings), strict=True)
            }
        )
    return [coded[source] for source in sources]


def alignment_warning(sources: list[Path]) -> str | None:
    """A sentence on pictures that do not look like aligned faces, or None. Looks at the first LOOKED_AT of them only:
    20 ms each, so that a folder takes a third of a second longer at most. Without dlib it says nothing.
    """
    from hsc.data.prepare.looks import AlignmentCheck
    from hsc.images import load_image
    from hsc.judges import NotAvailable

    try:
        aligned = AlignmentCheck()
    except NotAvailable:
        return None
    looked_at, odd = [source for source in sources[:LOOKED_AT] if not is_stream(source)], []  # read once
    for source in looked_at:
        try:
            image = load_image(source)
        except HscError:
            continue  # encoding it says so
        if image.width == image.height and not aligned(image):
            odd.append(source)
    if not odd:
        return None
    remedy = "the codec expects faces as FFHQ aligns them: --align finds and crops the face"
    if len(sources) == 1:
        return f"{odd[0]} does not look like an aligned face; {remedy}"
    return (
        f"{len(odd)} of the first {len(looked_at)} pictures ({odd[0].name}, …) do not look like aligned faces; {remedy}"
    )


@functools.cache
def _aligner() -> "Aligner":
    from hsc.data.prepare import Aligner

    return Aligner()


def _files(codec: "Codec", images: "Tensor", settings: Settings) -> list[bytes]:
    """The file of each image [N, 3, S, S]."""
    quality, limit, layers = settings.quality, settings.limit, settings.layers
    if limit is not None:
        coded = _compress_within(codec, images, limit, layers)
    else:
        level = codec.default_quality if quality is None else quality
        coded = [(level, data) for data in codec.compress(images, level, layers)]
    if not settings.refine:
        return [data for _, data in coded]
    from hsc.refine import refine

    refined: dict[int, bytes] = {}
    for group in group_by(range(len(images)), lambda index: coded[index][0]):
        found = refine(codec, images[group], coded[group[0]][0], layers, settings.refine, limit)
        refined.update(zip(group, found.files, strict=True))
    return [refined[index] for index in range(len(images))]


def _compress_within(codec: "Codec", images: "Tensor", limit: int, layers: int | None) -> list[tuple[int, bytes]]:
    """For each image [N, 3, S, S] the highest quality whose file has at most `limit` bytes, and that file.

    Qualities are tried from the highest down, for size need not fall with every step.
    """
    best: dict[int, tuple[int, bytes]] = {}
    waiting, fewest = list(range(len(images))), math.inf
    for quality in reversed(range(codec.num_qualities)):
        tried = codec.compress(images[waiting], quality=quality, layers=layers)
        best.update({index: (quality, data) for index, data in zip(waiting, tried, strict=True) if len(data) <= limit})
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
            f"{source} is {width}x{height}, and hsc codes square pictures of aligned faces: --align crops the face"
        )
