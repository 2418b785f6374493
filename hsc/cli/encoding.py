"""Pictures to .hsc files, a batch at a time, here or on a Ray cluster whose workers each load the codec once."""

import functools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hsc.cli.files import Job, Outcomes, Spread, attempt
from hsc.errors import HscError
from hsc.files import is_stream

if TYPE_CHECKING:
    from PIL import Image

    from hsc.codec import Codec
    from hsc.data.prepare import Aligner

LOOKED_AT = 16


class Settings(NamedTuple):
    """Options for every picture; None: the codec's default."""

    quality: float | None
    limit: int | None  # bytes, for the highest quality that fits
    layers: int | None
    align: bool = False  # find and crop the face first


class Encoded(NamedTuple):
    """One picture's file."""

    data: bytes
    pixels: int
    crop: "Image.Image | None" = None
    """the face as it was cropped from a photograph"""


def encode_batch(codec: "Codec", settings: Settings, batch: list[Job]) -> list[Encoded]:
    """The file of each job's picture; they are coded as one batch."""
    from hsc.coding.container import read
    from hsc.images import load_image

    # Pictures are read one by one, unless they are cropped from photographs, which bounds their size.
    faces = [_aligner().align(load_image(job.source)) if settings.align else job.source for job in batch]
    files = codec.compress(faces, settings.quality, settings.layers, bytes=settings.limit)
    headers = [read(data).header for data in files]
    parts = zip(files, headers, faces, strict=True)
    return [
        Encoded(data, header.width * header.height, None if isinstance(face, Path) else face)
        for data, header, face in parts
    ]


class Worker:
    """Encodes batches on some node. `weights_hash`: of the caller's model; a file of the same name may differ here."""

    def __init__(self, model: str, weights_hash: str, settings: Settings) -> None:
        self.model, self.weights_hash, self.settings = model, weights_hash, settings

    @functools.cached_property
    def codec(self) -> "Codec":
        import hsc

        codec = hsc.load(self.model)
        if codec.weights_hash != self.weights_hash:
            raise HscError(f"{self.model} on this node is another model: copy the same weights to every node")
        return codec

    def encode(self, number: int, sources: list[Path]) -> tuple[int, list[Encoded | HscError]]:
        """The batch's index, and each picture's file or error."""
        jobs = [Job(source, Path()) for source in sources]
        return number, [found for _, found in attempt(jobs, lambda part: encode_batch(self.codec, self.settings, part))]


def in_cluster(codec: "Codec", model: str, settings: Settings) -> Spread[Encoded]:
    """Like `hsc.cli.files.in_threads`, on the cluster of RAY_ADDRESS or one running here, else on this machine alone.

    Nodes read pictures and model from the same paths as the caller, which receives and writes the results. Batches are
    yielded as they are done.
    """
    try:
        import ray
        from ray.util import ActorPool
    except ImportError as error:
        raise HscError("--on ray needs Ray: pip install 'hsc[ray]'") from error

    place = str(Path(model).resolve()) if Path(model).exists() and model else model
    weights_hash = codec.weights_hash

    def spread(batches: list[list[Job]]) -> Iterator[Outcomes[Encoded]]:
        if not batches:
            return
        if not ray.is_initialized():
            ray.init(log_to_driver=False, logging_level=logging.WARNING)
        # A worker whose node is lost restarts on another.
        actor = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=-1)(Worker)
        count = max(1, min(len(batches), int(ray.cluster_resources().get("CPU", 1))))
        workers = ActorPool([actor.remote(place, weights_hash, settings) for _ in range(count)])
        numbered = list(enumerate([job.source.resolve() for job in batch] for batch in batches))
        for number, outcomes in workers.map_unordered(lambda worker, part: worker.encode.remote(*part), numbered):
            yield list(zip(batches[number], outcomes, strict=True))

    return spread


def alignment_warning(sources: list[Path]) -> str | None:
    """A sentence on pictures that do not look like aligned faces, or None. It looks only at the first LOOKED_AT of
    them, so that a large folder takes no longer than a small one. None without dlib.
    """
    from hsc.data.prepare.face_detector import AlignmentCheck
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
            continue  # reported by encoding
        if image.width == image.height and not aligned(image):
            odd.append(source)
    if not odd:
        return None
    remedy = "the codec expects faces aligned as in FFHQ: --align finds and crops the face"
    if len(sources) == 1:
        return f"{odd[0]} does not look like an aligned face; {remedy}"
    return (
        f"{len(odd)} of the first {len(looked_at)} pictures ({odd[0].name}, …) do not look like aligned faces; {remedy}"
    )


@functools.cache
def _aligner() -> "Aligner":
    from hsc.data.prepare import Aligner

    return Aligner()
