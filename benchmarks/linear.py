"""Performance of a codec without networks: principal components of whole faces, rounded, each with its own Laplacian.

    python benchmarks/linear.py [--side 64] [--components 1120] [--even] [--bytes 32,85,194] [--faces 100]
    python benchmarks/linear.py --components 1120 --cells 24 --bytes 350,700,1300
    python benchmarks/linear.py --data ffhq128.zip,celeba128.zip --first 144,480,1120

A face is downsampled to `side` pixels, projected, divided by the step (root mean square change of the picture's values
per unit), rounded (up from 0.6 on), and upsampled again (bicubic). `--cells` adds that many principal components of
each of 8×8 squares of the residual at 128 pixels, with steps of the same size. Bytes are ideal, without header: the
entropy under Laplacians with the components' spreads over the training faces. The step is the one that gives the
requested bytes, or the finest tried. A trained codec has to do better than this.

Of several sets the first is split and the others are used only for training. `--first` rounds nothing: PSNR of all
validation faces from the first components alone, at `side` pixels and at 128.
"""

import argparse
import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from judged import JudgedFaces, header
from torch import Tensor

from hsc.data.dataset import FaceDataset
from hsc.data.module import FaceDataModule
from hsc.images import resize
from hsc.judges import load_judge
from hsc.nets.eigenfaces import STEP, Components, latent_scale, principal_components
from hsc.nets.planes import emphasis, from_planes, small_pictures, to_planes
from hsc.training.eigenfaces import training_faces

TRAIN, VALIDATION = "00000-03999", "04000-04499"
SIZE, GRID = 128, 8
DEAD = 0.6  # threshold of rounding up
FINEST, COARSEST = 0.001, 0.06
CELL_FACES = 500  # from which the components of squares are computed


class LinearCode:
    """Components of whole faces at `side` pixels, and with `cells` those of squares of the residual.

    Squares are weighted by the emphasis at their centre, as positions in whole faces are.
    """

    def __init__(self, faces: FaceDataset, side: int, count: int, even: bool, cells: int) -> None:
        self.side, self.components = side, Components(side, count)
        if even:
            self.components.emphasis.fill_(1.0)
        images = (shrinkable(batch, side) for batch in training_faces(faces, len(faces)))
        mean, basis, spreads = principal_components(images, side, count, self.components.emphasis)
        self.components.set_to(mean, basis)
        self.spreads = spreads / self.components.scale
        self.cells = cells
        if cells:
            luminance = torch.ones(SIZE**2) if even else emphasis(SIZE)[: SIZE**2]
            self.weights = to_cells(luminance.view(1, 1, SIZE, SIZE), GRID).mean(2)[..., None]
            self._fit_cells(faces)

    def _fit_cells(self, faces: FaceDataset) -> None:
        products: Tensor | float = 0.0
        for left in self._leavings(faces):
            products = products + torch.einsum("ncp,ncq->pq", left, left)
        self.basis = torch.linalg.eigh(products)[1].flip(1)[:, : self.cells]
        squares = [(left @ self.basis).square().sum(0) for left in self._leavings(faces)]
        spreads = (torch.stack(squares).sum(0) / min(CELL_FACES, len(faces))).sqrt()
        self.cell_spreads = spreads.flatten() / latent_scale(SIZE)

    def _leavings(self, faces: FaceDataset) -> Iterator[Tensor]:
        for images in training_faces(faces, CELL_FACES):
            yield self._left_over(images, self.read(images))

    def read(self, images: Tensor) -> Tensor:
        return self.components.read(to_planes(shrinkable(images, self.side), self.side))

    def drawn(self, latents: Tensor) -> Tensor:
        return from_planes(self.components.drawn(latents), self.side)

    def _left_over(self, images: Tensor, latents: Tensor) -> Tensor:
        return to_cells(images - resize(self.drawn(latents), SIZE), GRID) * self.weights

    def coded(self, images: Tensor, step: float) -> tuple[float, Tensor]:
        """Mean bytes and the decoded pictures."""
        length = step / STEP
        symbols = rounded(self.read(images) / length)
        size = bits(symbols, self.spreads / length).sum(1).mean() / 8
        if not self.cells:
            return float(size), self.drawn(symbols * length)
        length_here = length * latent_scale(SIZE)
        of_cells = rounded(self._left_over(images, symbols * length) @ self.basis / length_here)
        size += bits(of_cells.flatten(1), self.cell_spreads / length).sum(1).mean() / 8
        shown = from_cells(of_cells * length_here @ self.basis.t() / self.weights, SIZE)
        return float(size), resize(self.drawn(symbols * length), SIZE) + shown

    def step_of(self, images: Tensor, size: float) -> float:
        """The step that gives this many bytes, by bisection on a few of the faces."""
        low, high = FINEST, COARSEST
        for _ in range(9):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if self.coded(images[:40], middle)[0] > size else (low, middle)
        return high


def to_cells(pictures: Tensor, grid: int) -> Tensor:
    """[N, C, size, size] → [N, grid², values of a cell], row by row."""
    return F.pixel_unshuffle(pictures, pictures.shape[-1] // grid).flatten(2).mT


def from_cells(cells: Tensor, size: int) -> Tensor:
    """The inverse of `to_cells`, for images of `size` pixels."""
    return F.pixel_shuffle(cells.mT.unflatten(2, (GRID, GRID)), size // GRID)


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--components", type=int, default=1120)
    parser.add_argument("--cells", type=int, default=0)
    parser.add_argument("--bytes", default="32,48,85,123,194,266")
    parser.add_argument("--first", default="")
    parser.add_argument("--even", action="store_true", help="count every place of the picture alike")
    parser.add_argument("--faces", type=int, default=100)
    parser.add_argument("--data", default="ffhq128.zip")
    given = parser.parse_args()
    data = FaceDataModule(given.data.split(","), SIZE, train=TRAIN, validation=VALIDATION)
    first = [int(count) for count in given.first.split(",") if count]
    code = LinearCode(data.dataset("train"), given.side, max([given.components, *first]), given.even, given.cells)
    if first:
        show_first(code, data, first)
        return
    judged = JudgedFaces(data, given.faces)
    print(header("bytes"))
    for size in map(float, given.bytes.split(",")):
        size, drawn = code.coded(judged.originals, code.step_of(judged.originals, size))
        print(f"| {size:.0f} | {judged.row(drawn)} |", flush=True)


def show_first(code: LinearCode, data: FaceDataModule, counts: list[int]) -> None:
    """PSNR of all validation faces from the first components alone."""
    faces = data.dataset("validation")
    psnr = load_judge("psnr")
    originals = faces[list(range(len(faces)))]["image"]
    latents = code.read(originals)
    print(
        f"{len(data.dataset('train'))} faces\n| components | PSNR at {code.side}² | at {SIZE}² |\n| --- | --- | --- |"
    )
    for count in counts:
        kept = torch.arange(latents.shape[1]) < count
        drawn = code.drawn(latents * kept)
        small = psnr(small_pictures(shrinkable(originals, code.side), code.side), drawn.clamp(-1, 1)).mean()
        large = psnr(originals, resize(drawn, SIZE).clamp(-1, 1)).mean()
        print(f"| {count} | {small:.2f} dB | {large:.2f} dB |")


def shrinkable(images: Tensor, side: int) -> Tensor:
    """Images whose squares can be averaged to `side` pixels."""
    return resize(images, side) if images.shape[-1] % side else images


def rounded(latents: Tensor) -> Tensor:
    return latents.sign() * (latents.abs() + 1 - DEAD).floor()


def bits(symbols: Tensor, spreads: Tensor) -> Tensor:
    """Ideal bits of each symbol under a Laplacian of zero mean with the component's standard deviation."""
    laplacian = torch.distributions.Laplace(torch.zeros(()), (spreads / math.sqrt(2)).clamp_min(0.05))
    return -(laplacian.cdf(symbols + 0.5) - laplacian.cdf(symbols - 0.5)).clamp_min(1e-7).log2()


if __name__ == "__main__":
    main()
