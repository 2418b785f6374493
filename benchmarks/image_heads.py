"""How near a smaller size of a generator comes to the larger one that it was distilled from.

    python benchmarks/image_heads.py PRIOR FACES.zip [--held-out 00000-00099] [--photographs ffhq128.zip] [--count 2000]

FACES.zip holds what the larger generator draws, averaged to PRIOR's size, with its W+ (`hsc data sample`). Of
held-out faces the two pictures are compared one by one; of COUNT faces each generator's, as a set, with as many
photographs: KID by torchmetrics' implementation on VGG16's features (hsc's judge `vgg16`). The larger generator's is
not its best, since FACES.zip may mix styles and truncate.
"""

import argparse

import torch
from torch import Tensor

import hsc.compat  # noqa: F401  torchvision beside CPU torch, before torchmetrics imports it
from hsc.checkpoints import load_generator
from hsc.data.dataset import FaceDataset
from hsc.data.faces import open_faces
from hsc.judges import load_judge
from hsc.released import find_weights

from torchmetrics.image.kid import KernelInceptionDistance  # isort: skip

AT_ONCE = 16


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prior")
    parser.add_argument("faces")
    parser.add_argument("--held-out", default="00000-00099")
    parser.add_argument("--photographs", default="ffhq128.zip")
    parser.add_argument("--count", type=int, default=2000)
    given = parser.parse_args()
    generator = load_generator(find_weights(given.prior))

    held_out = open_faces(given.faces, given.held_out)
    wanted, drawn = pictures(held_out, generator.size), draw(generator, held_out.styles())
    for name in ("psnr", "lpips.vgg", "lpips.alex", "dists"):
        judge = load_judge(name)
        pairs = zip(wanted.split(AT_ONCE), drawn.split(AT_ONCE), strict=True)
        print(f"{name}: {torch.cat([judge(*pair) for pair in pairs]).mean():.4f}", flush=True)

    everything, photographs = (first(open_faces(path), given.count) for path in (given.faces, given.photographs))
    seen = features(pictures(photographs, generator.size))
    sets = {
        "photographs, one half against the other": (seen[::2], seen[1::2]),
        "larger generator": (features(pictures(everything, generator.size)), seen),
        "this generator": (features(draw(generator, everything.styles())), seen),
    }
    for name, (generated, originals) in sets.items():
        metric = KernelInceptionDistance(
            torch.nn.Identity(), subsets=100, subset_size=min(1000, len(generated), len(originals))
        )
        metric.real_features, metric.fake_features = [originals], [generated]
        kid, _ = metric.compute()
        print(f"KID (VGG16), {name} ({len(generated)} and {len(originals)}): {kid:.4f}", flush=True)


def first(faces, count: int):
    return faces.select(faces.names[:count])


def pictures(faces, size: int) -> Tensor:
    """[N, 3, size, size] in [-1, 1]."""
    return FaceDataset(faces, size)[list(range(len(faces)))]["image"]


def draw(generator, styles) -> Tensor:
    """W+ [N, rows, w_dim] → what is drawn of them, clamped."""
    parts = torch.from_numpy(styles).float().split(AT_ONCE)
    return torch.cat([generator.synthesis(part).clamp(-1, 1) for part in parts])


def features(images: Tensor) -> Tensor:
    judge = load_judge("vgg16")
    return torch.cat([judge(part) for part in images.split(AT_ONCE)])


if __name__ == "__main__":
    main()
