"""Photographs → their aligned faces, by worker processes; one picture for `hsc encode --align`."""

import io
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from typing import Any, NamedTuple

from PIL import Image

from hsc.data.prepare.alignment import cut_out, recipe_corners, side_of
from hsc.data.prepare.face_detector import FaceDetector
from hsc.data.prepare.photographs import Photograph
from hsc.data.prepare.quality import fault, measure, perceptual_hash
from hsc.data.prepare.settings import Format, Settings
from hsc.die_with_parent import die_with_parent
from hsc.errors import HscError
from hsc.images import encoded, load_image
from hsc.parallel import in_order

MAX_OWN_SIZE = 1024
AHEAD = 2  # photographs queued per worker, so that none is idle while the disk is read

_aligner: "Aligner | None" = None  # a worker process's own


class Aligned(NamedTuple):
    """The record of a photograph, as JSON values, and the encoded crops of its faces."""

    record: dict[str, Any]
    crops: list[bytes]


class Aligner:
    """Finds faces and cuts them out. Raises NotAvailable without dlib or its weights."""

    def __init__(self) -> None:
        self._find = FaceDetector()

    def align(self, image: Image.Image, size: int | None = None) -> Image.Image:
        """The largest face of an RGB image with FFHQ's alignment, at `size` pixels or the size it has in the photograph
        (a multiple of 8, at most 1024). Raises HscError if no face is found.
        """
        faces = self._find(image)
        if not faces:
            raise HscError("no face found: give an upright, frontal picture of one that is not too small")
        corners = recipe_corners(faces[0].landmarks)
        own = min(MAX_OWN_SIZE, max(8, round(side_of(corners) / 8) * 8))
        return cut_out(image, corners, size or own)

    def photograph(self, photograph: Photograph, settings: Settings) -> Aligned:
        """Everything that `prepare` needs from a photograph. One that cannot be read also gives a result."""
        record: dict[str, Any] = {"source": photograph.name}
        try:
            if photograph.error:
                raise HscError(photograph.error)
            image = load_image(io.BytesIO(photograph.content), photograph.name)
        except HscError as error:
            record |= {"skipped": str(error).removeprefix(f"{photograph.name}: "), "faces": []}
            return Aligned(record | {"refused": photograph.refused}, [])
        record |= {"photograph": list(image.size)}
        found = self._find(image, settings.faces == "all")
        if not found:
            return Aligned(record | {"skipped": "no face", "faces": []}, [])
        faces, crops = [], []
        for face in found if settings.faces == "all" else found[:1]:
            corners = recipe_corners(face.landmarks)
            crop = cut_out(image, corners, settings.size)
            quality = measure(crop, face.landmarks, side_of(corners))
            about = {
                "skipped": fault(quality, settings),
                "box": list(face.box),
                "score": face.score,
                "corners": corners.round(3).tolist(),
                **quality._asdict(),
                "hash": perceptual_hash(crop).hex(),
                "landmarks": face.landmarks.tolist(),
            }
            faces.append(about)
            crops.append(_encoded(crop, settings.format))
        return Aligned(record | {"faces": faces}, crops)


def align_all(photographs: Iterable[Photograph], settings: Settings, workers: int) -> Iterator[Aligned]:
    """Every photograph's faces, in order. With one worker, they are found in this process."""
    if workers == 1:
        aligner = Aligner()
        yield from (aligner.photograph(photograph, settings) for photograph in photographs)
        return
    # Not forked: dlib and torch have started threads. dlib holds the GIL, so threads would not help.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin)
    try:
        yield from in_order(pool, partial(_work, settings), photographs, AHEAD * workers)
    except BrokenProcessPool as error:
        raise HscError("a worker process died (out of memory?): run again with fewer --workers") from error


def _begin() -> None:
    global _aligner
    die_with_parent()
    _aligner = Aligner()


def _work(settings: Settings, photograph: Photograph) -> Aligned:
    assert _aligner is not None
    return _aligner.photograph(photograph, settings)


def _encoded(crop: Image.Image, kind: Format) -> bytes:
    """Nearly lossless: codecs at hundreds of bytes lose far more than JPEG at quality 95 without subsampling."""
    options: dict[str, Any] = {"jpg": {"quality": 95, "subsampling": 0}, "webp": {"quality": 95}, "png": {}}[kind]
    return encoded(crop, "JPEG" if kind == "jpg" else kind, **options)
