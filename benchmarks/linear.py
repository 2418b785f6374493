"""What a codec without networks does: principal components of whole faces, rounded, each with its own Laplacian.

    python benchmarks/linear.py [--side 64] [--components 1120] [--even] [--steps 0.029,0.0145] [--faces 100]

A face is shrunk to `side` pixels, projected, divided by the step (root mean square over the picture's numbers that one
unit moves), rounded (up from 0.6 on), and enlarged again (bicubic). Bytes are ideal, without header: the entropy under
Laplacians with the components' spreads over the training faces. A trained codec has to do better than this.
"""

import argparse
import math

import torch
from judged import JudgedFaces, header
from torch import Tensor

from hsc.data.module import FaceDataModule
from hsc.nets.eigenfaces import STEP, Components, principal_components
from hsc.nets.planes import from_planes, to_planes

TRAIN, VALIDATION = "00000-03999", "04000-04499"
DEAD = 0.6  # rounding up begins here


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--components", type=int, default=1120)
    parser.add_argument("--steps", default="0.029,0.022,0.0145,0.0109,0.0072,0.005")
    parser.add_argument("--even", action="store_true", help="count every place of the picture alike")
    parser.add_argument("--faces", type=int, default=100)
    parser.add_argument("--data", default="ffhq128.zip")
    given = parser.parse_args()
    data = FaceDataModule(given.data, given.side, train=TRAIN, validation=VALIDATION)
    faces = data.dataset("train")
    pictures = torch.cat([faces[list(range(i, min(i + 250, len(faces))))]["image"] for i in range(0, len(faces), 250)])
    components = Components(given.side, given.components)
    if given.even:
        components.emphasis.fill_(1.0)
    mean, basis, spreads = principal_components(pictures, given.components, components.emphasis)
    components.set_to(mean, basis)
    judged = JudgedFaces(data, given.faces)
    latents, spreads = components.read(to_planes(judged.originals, given.side)), spreads / components.scale
    print(header("bytes"))
    for step in map(float, given.steps.split(",")):
        length = step / STEP
        symbols = latents.sign() * (latents.abs() / length + 1 - DEAD).floor()
        size = bits(symbols, spreads / length).sum(1).mean() / 8
        drawn = from_planes(components.drawn(symbols * length), given.side)
        print(f"| {size:.0f} | {judged.row(drawn)} |", flush=True)


def bits(symbols: Tensor, spreads: Tensor) -> Tensor:
    """Ideal bits of each symbol under a Laplacian of zero mean with the component's standard deviation."""
    laplacian = torch.distributions.Laplace(torch.zeros(()), (spreads / math.sqrt(2)).clamp_min(0.05))
    return -(laplacian.cdf(symbols + 0.5) - laplacian.cdf(symbols - 0.5)).clamp_min(1e-7).log2()


if __name__ == "__main__":
    main()
