"""Pictures to .hsc files, a batch at a time: what `hsc encode` does here and what it sends to a cluster."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hsc.cli.files import Job, group_by
from hsc.errors import HscError
from hsc.files import is_stream

if TYPE_CHECKING:
    from PIL import Image

    from hsc.codec import Codec
    from hsc.data.prepare import Aligner

LOOKED_AT = 16


class Settings(NamedTuple):
    """What is asked of every picture; None leaves it to the codec."""

    quality: float | None
    limit: int | None  # bytes, for the highest quality that fits
    layers: int | None
    align: bool = False  # find and crop the face first
    refine: int = 0  # iterations of a search for better latents


class Encoded(NamedTuple):
    """One picture's file."""

    data: bytes
    pixels: int


def encode_batch(codec: "Codec", settings: Settings, batch: list[Job]) -> list[Encoded]:
    """The file of each job's picture; they go through the networks together."""
    from hsc.images import load_image

    prepared = _aligner().align if settings.align else lambda image: image
    images = [prepared(load_image(job.source)) for job in batch]
    if settings.refine:
        files = _refined(codec, images, settings)
    else:
        files = codec.compress(images, settings.quality, settings.layers, bytes=settings.limit)
    return [Encoded(data, image.width * image.height) for data, image in zip(files, images, strict=True)]


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


def _refined(codec: "Codec", images: list["Image.Image"], settings: Settings) -> list[bytes]:
    """The file of each picture after a search; pictures of one size go through it together."""
    import torch

    from hsc.images import to_tensor
    from hsc.refine import refine

    files: dict[int, bytes] = {}
    for group in group_by(range(len(images)), lambda index: images[index].size):
        faces = torch.stack([to_tensor(images[index]) for index in group])
        quality: float | torch.Tensor | None = settings.quality
        if settings.limit is not None:
            quality = codec.encode(codec.analyse(faces)[: settings.layers], bytes=settings.limit).quality
        refined = refine(codec, faces, quality, settings.layers, settings.refine, settings.limit)
        files.update(zip(group, refined.files, strict=True))
    return [files[index] for index in range(len(images))]
