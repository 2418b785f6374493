"""Generated faces: a data set for trying hsc without photographs."""

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from hsc.checkpoints import load_generator
from hsc.data.archives import GENERATED_MARKER, STYLES, zip_member
from hsc.devices import find_device
from hsc.errors import HscError
from hsc.files import ZIP_COMMENT, write_atomically
from hsc.images import encoded, to_uint8
from hsc.nets.generator import Generator, images_at_a_time
from hsc.progress import progress
from hsc.released import DEFAULT_PRIOR, find_weights


class Recipe(NamedTuple):
    """How face i is generated, as a function of seed and i.

    truncation: from 0, the average face, to 1, full variety; drawn evenly between two bounds for each face. mixing:
    the probability that a face has two styles, the second of which starts at a random row.
    """

    seed: int = 0
    truncation: tuple[float, float] = (0.7, 0.7)
    mixing: float = 0.0

    @property
    def plain(self) -> bool:
        """Whether a face is a function of one z and one truncation, the same for all."""
        low, high = self.truncation
        return low == high and not self.mixing


def sample(
    out: str | Path,
    count: int,
    recipe: Recipe,
    generator: str | Path | None = None,
    size: int | None = None,
    device: str = "auto",
) -> None:
    """Write `count` faces as `00000.png`, … into the zip `out`, marked as generated (`Faces.generated`),
    and beside them, as `.generated-styles.npy`, their W+: float16 [count, rows, w_dim].

    generator: a released or fetched name, or a weights file that `hsc.checkpoints.load_generator` reads; by default
    the prior that comes with hsc. size: pixels, by default the generator's own; smaller sizes by area averaging.
    Face i is a function of generator, recipe and i alone, and equal arguments give equal bytes on equal devices. Raises
    HscError for an unreadable generator or an invalid argument; an interrupted run leaves no file.
    """
    write_atomically(out, drawing(count, recipe, generator, size, device))


def drawing(
    count: int,
    recipe: Recipe,
    generator: str | Path | None = None,
    size: int | None = None,
    device: str = "auto",
) -> Callable[[BinaryIO], None]:
    """A function that generates the faces and writes their zip to an open file; arguments and errors as in `sample`."""
    low, high = recipe.truncation
    if count < 1:
        raise HscError(f"cannot draw {count} faces: give 1 or more")
    if not 0 <= low <= high <= 1:
        raise HscError(f"cannot draw faces at truncation {low:g} to {high:g}: give 0 to 1, the smaller one first")
    if not 0 <= recipe.mixing <= 1:
        raise HscError(f"cannot draw faces that mix styles with probability {recipe.mixing:g}: give 0 to 1")
    weights = find_weights(generator or DEFAULT_PRIOR)
    network = load_generator(weights).to(find_device(device))
    origin = weights.stem
    check_size(network, size, origin)

    def write(file: BinaryIO) -> None:
        # One array: small arrays per face would fragment the memory that is reused for the features of faces.
        styles = np.empty((count, network.num_rows, network.w_dim), np.float16)
        with zipfile.ZipFile(file, "w") as archive, progress(count, "generated faces") as advance:
            archive.comment = ZIP_COMMENT
            archive.writestr(zip_member(GENERATED_MARKER), f"generated faces: {origin}, {_said(recipe)}\n".encode())
            for index, (face, ws) in enumerate(_faces(network, count, recipe, size)):
                archive.writestr(zip_member(f"{index:05d}.png"), _png(face))
                styles[index] = ws
                advance()
            archive.writestr(zip_member(STYLES), _npy(styles))

    return write


def check_size(generator: Generator, size: int | None, name: str) -> None:
    """Raise HscError if the generator of that name cannot generate faces of `size` pixels. It generates its own size
    and, by area averaging, smaller ones."""
    if size is not None and not 1 <= size <= generator.size:
        own = f"{generator.size}×{generator.size}"
        raise HscError(
            f"cannot draw faces of {size}×{size}: {name} draws {own}; give at most that, or a generator of larger faces"
        )


@torch.inference_mode()
def _faces(
    network: Generator, count: int, recipe: Recipe, size: int | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:  # uint8 [S, S, 3], float16 [rows, w_dim]
    batch = images_at_a_time(network.size)
    for start in range(0, count, batch):
        # Always a full batch: kernels may round differently for other sizes, and a face must not depend on `count`.
        randoms = [np.random.default_rng([recipe.seed, i]) for i in range(start, start + batch)]
        ws = _styles(network, randoms, recipe)
        images = network.synthesis(ws).float()
        if size is not None:
            images = F.interpolate(images, size, mode="area")
        yield from list(zip(to_uint8(images), ws.half().cpu().numpy(), strict=True))[: count - start]


def _styles(generator: Generator, randoms: list[np.random.Generator], recipe: Recipe) -> Tensor:
    """W+ [N, rows, w_dim], one for each source of random numbers."""
    first = _normal(generator, randoms)
    if recipe.plain:
        return generator.mapping(first, recipe.truncation[0])
    second = _normal(generator, randoms)
    mixed = [random.random() < recipe.mixing for random in randoms]
    cuts = [int(random.integers(1, generator.num_rows)) for random in randoms]
    psi = torch.tensor([random.uniform(*recipe.truncation) for random in randoms]).float()[:, None, None]
    ends = torch.tensor([cut if mix else generator.num_rows for cut, mix in zip(cuts, mixed, strict=True)])
    of_first = (torch.arange(generator.num_rows) < ends[:, None])[..., None].to(first.device)
    ws = torch.where(of_first, generator.mapping(first), generator.mapping(second))
    return generator.mean_w + psi.to(ws.device) * (ws - generator.mean_w)


def _normal(generator: Generator, randoms: list[np.random.Generator]) -> Tensor:
    z = np.stack([random.standard_normal(generator.z_dim, np.float32) for random in randoms])
    return torch.from_numpy(z).to(generator.mean_w.device)


def _said(recipe: Recipe) -> str:
    low, high = recipe.truncation
    said = f"seed {recipe.seed}, truncation {low:g}" + (f" to {high:g}" if high > low else "")
    return said + (f", styles mixed in {recipe.mixing:.0%}" if recipe.mixing else "")


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


def _png(face: np.ndarray) -> bytes:
    # An eighth larger than Pillow's default and four times as fast: writing takes as long as generating a large face.
    return encoded(Image.fromarray(face), "PNG", compress_level=1)
