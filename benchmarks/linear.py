"""Performance of a codec without networks: principal components of whole faces, rounded, each with its own Laplacian.

    python benchmarks/linear.py [--side 64] [--components 1120] [--even] [--bytes 32,85,194] [--faces 100]
    python benchmarks/linear.py --components 480 --blocks 64 --bytes 350,700,1300
    python benchmarks/linear.py --data ffhq128.zip,celeba128.zip --first 144,480,1120

A face is downsampled to `side` pixels, projected, divided by the step (root mean square change of the picture's values
per unit), rounded (up from 0.6 on), and upsampled again. `--blocks` adds that many principal components of each of 8×8
blocks of the residual at twice the side, with steps of the same size. Bytes are ideal, without header: the
entropy under Laplacians with the components' spreads over the training faces. The step is the one that gives the
requested bytes, or the finest tried. A trained codec has to do better than this.

Of several sets the first is split and the others are used only for training. `--first` rounds nothing: PSNR of all
validation faces from the first components alone, at `side` pixels and at 128.
"""

import argparse
import math

import torch
from judged import JudgedFaces, header
from torch import Tensor

from hsc.data.dataset import FaceDataset
from hsc.data.module import FaceDataModule
from hsc.images import resize
from hsc.judges import load_judge
from hsc.nets.eigenfaces import GRID, STEP, EigenAnalysis, EigenSynthesis, principal_components
from hsc.nets.planes import small_pictures
from hsc.training.eigenfaces import start_blocks, training_faces

TRAIN, VALIDATION = "00000-03999", "04000-04499"
SIZE = 128
DEAD = 0.6  # threshold of rounding up
FINEST, COARSEST = 0.001, 0.06


class LinearCode:
    """Components of whole faces at `side` pixels and, with `blocks`, those of blocks of the residual."""

    def __init__(self, faces: FaceDataset, side: int, count: int, even: bool, blocks: int) -> None:
        bands = [(1, count + GRID**2 * blocks)]
        self.analysis, self.synthesis = EigenAnalysis(side, bands, blocks), EigenSynthesis(side, bands, blocks)
        components = self.synthesis.components = self.analysis.components
        self.synthesis.blocks = self.analysis.blocks
        if even:
            components.emphasis.fill_(1.0)
        images = (shrinkable(batch, side) for batch in training_faces(faces, len(faces)))
        mean, basis, spreads = principal_components(images, side, count, components.emphasis)
        components.set_to(mean, basis)
        self.spreads = spreads / components.scale
        if self.analysis.blocks is not None:
            if even:
                self.analysis.blocks.emphasis.fill_(1.0)
            of_blocks = start_blocks(self.analysis, self.analysis.blocks, faces)
            self.spreads = torch.cat([self.spreads, of_blocks])

    def read(self, images: Tensor) -> Tensor:
        return self.analysis(shrinkable(images, self.analysis.side))[0].flatten(1)

    def drawn(self, latents: Tensor) -> Tensor:
        return self.synthesis([latents[:, None]]).large

    def coded(self, images: Tensor, step: float) -> tuple[float, Tensor]:
        """Mean bytes and the decoded pictures."""
        length = step / STEP
        symbols = rounded(self.read(images) / length)
        size = bits(symbols, self.spreads / length).sum(1).mean() / 8
        return float(size), self.drawn(symbols * length)

    def step_of(self, images: Tensor, size: float) -> float:
        """The step that gives this many bytes, by bisection on a few of the faces."""
        low, high = FINEST, COARSEST
        for _ in range(9):
            middle = math.sqrt(low * high)
            low, high = (middle, high) if self.coded(images[:40], middle)[0] > size else (low, middle)
        return high


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--components", type=int, default=1120)
    parser.add_argument("--blocks", type=int, default=0)
    parser.add_argument("--bytes", default="32,48,85,123,194,266")
    parser.add_argument("--first", default="")
    parser.add_argument("--even", action="store_true", help="count every place of the picture alike")
    parser.add_argument("--faces", type=int, default=100)
    parser.add_argument("--data", default="ffhq128.zip")
    given = parser.parse_args()
    data = FaceDataModule(given.data.split(","), SIZE, train=TRAIN, validation=VALIDATION)
    first = [int(count) for count in given.first.split(",") if count]
    code = LinearCode(data.dataset("train"), given.side, max([given.components, *first]), given.even, given.blocks)
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
    latents, side = code.read(originals), code.analysis.side
    print(f"{len(data.dataset('train'))} faces\n| components | PSNR at {side}² | at {SIZE}² |\n| --- | --- | --- |")
    for count in counts:
        kept = torch.arange(latents.shape[1]) < count
        drawn = code.drawn(latents * kept)
        small = psnr(small_pictures(shrinkable(originals, side), side), drawn.clamp(-1, 1)).mean()
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
