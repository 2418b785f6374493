"""Generated faces: a data set to try everything on where no photographs are at hand."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image

from hsc.checkpoints import FaceModel, load_face_model
from hsc.data.archives import zip_member
from hsc.data.faces import GENERATED_MARKER
from hsc.data.progress import progress_lines
from hsc.errors import HscError
from hsc.files import write_atomically
from hsc.images import resize, to_uint8
from hsc.released import DEFAULT_PRIOR, find_weights


def sample(
    out: str | Path,
    count: int,
    seed: int = 0,
    generator: str | Path | None = None,
    truncation: float = 0.7,
    size: int | None = None,
) -> None:
    """Write `count` faces as `00000.png`, … into the zip `out`, marked as generated (`hsc.data.faces.is_generated`).

    generator: a released name, or a weights file that `hsc.checkpoints.load_face_model` reads; by default the prior
    that comes with hsc. truncation: from 0, the average face, to 1, all the variety. size: pixels, by default the
    prior's own.
    Face i is a function of generator, seed and i alone, and equal arguments give equal bytes. Raises HscError for an
    unreadable generator or an impossible argument; an interrupted run leaves no file.
    """
    if count < 1 or not 0 <= truncation <= 1 or (size is not None and size < 1):
        raise HscError(f"cannot draw {count} faces at truncation {truncation}: give 1 or more, and 0 to 1")
    weights = find_weights(generator or DEFAULT_PRIOR)
    network = load_face_model(weights)
    origin = weights.stem

    def write(file: BinaryIO) -> None:
        tell = progress_lines(count, "generated faces")
        with zipfile.ZipFile(file, "w") as archive:
            note = f"generated faces: {origin}, seed {seed}, truncation {truncation:g}\n"
            archive.writestr(zip_member(GENERATED_MARKER), note.encode())
            for index, face in enumerate(_faces(network, count, seed, truncation, size)):
                archive.writestr(zip_member(f"{index:05d}.png"), _png(face))
                tell(index + 1)

    write_atomically(out, write)


@torch.inference_mode()
def _faces(
    network: FaceModel, count: int, seed: int, truncation: float, size: int | None
) -> Iterator[np.ndarray]:  # uint8 [S, S, 3]
    for start in range(0, count, network.batch):
        # Always a full batch: kernels may round differently for other sizes, and a face must not depend on `count`.
        indices = range(start, start + network.batch)
        z = np.stack([np.random.default_rng([seed, i]).standard_normal(network.z_dim, np.float32) for i in indices])
        images = network.draw(torch.from_numpy(z), truncation)
        yield from to_uint8(images if size is None else resize(images, size))[: count - start]


def _png(face: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(face).save(buffer, format="PNG")
    return buffer.getvalue()
