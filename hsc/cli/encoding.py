"""Pictures to .hsc files, a batch at a time: what `hsc encode` does here and what it sends to a cluster."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hsc.cli.files import Job
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
    crop: "Image.Image | None" = None
    """the face as it was cut out of a photograph"""


def encode_batch(codec: "Codec", settings: Settings, batch: list[Job]) -> list[Encoded]:
    """The file of each job's picture; they go through the networks together."""
    from hsc.coding.container import read
    from hsc.images import load_image

    # Pictures are read one by one, unless they are cut out of photographs, which bounds their size.
    faces = [_aligner().align(load_image(job.source)) if settings.align else job.source for job in batch]
    if settings.refine:
        from hsc.refine import refine

        files = refine(codec, faces, settings.quality, settings.layers, settings.refine, settings.limit).files
    else:
        files = codec.compress(faces, settings.quality, settings.layers, bytes=settings.limit)
    headers = [read(data).header for data in files]
    parts = zip(files, headers, faces, strict=True)
    return [
        Encoded(data, header.width * header.height, None if isinstance(face, Path) else face)
        for data, header, face in parts
    ]


def alignment_warning(sources: list[Path]) -> str | None:
    """A sentence on pictures that do not look like aligned faces, or None. Looks at the first LOOKED_AT of them only:
    20 ms each, so that a folder takes a third of a second longer at most. Without dlib it says nothing.
    """
    from hsc.data.prepare.alignment_check import AlignmentCheck
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
