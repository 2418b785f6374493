"""Comparison of 1024×1024 faces with VVC and AV1, which spend as few bytes only at their lowest qualities.

    PYTHONPATH=benchmarks hsc evaluate ffhq128 --data portraits.zip --anchors large_faces:VVC,large_faces:AV1 \\
        --judges lpips.alex,psnr,dlib,dlib68 --out results/large
    PYTHONPATH=benchmarks python benchmarks/large_faces.py portraits.zip [--split '*-05.jpg']

The first command measures pictures at full size. The second averages them over areas to 256×256 before comparing, as
they look from farther away.
"""

import argparse
from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F

import hsc
from hsc.data.faces import open_faces
from hsc.evaluation import anchors
from hsc.images import Picture, to_tensors
from hsc.judges import load_judge

SIDE = 256
JUDGES = ("lpips.alex", "lpips.vgg", "dists")


class VVC(anchors.VVC):
    """Qualities at the bytes that generative codecs spend, and at a few times these."""

    qualities = (63, 60, 57, 54)


class AV1(anchors.AV1):
    """Qualities with the smallest files."""

    qualities = (63, 61, 58)


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--split", default="*")
    arguments = parser.parse_args()
    faces = open_faces(arguments.data, arguments.split)
    pixels = [np.asarray(faces.load(name)) for name in faces.names]
    originals = averaged(pixels)
    judges = [load_judge(name) for name in JUDGES]
    print("codec quality bytes", *JUDGES)

    def report(codec: str, quality: int, size: float, shown: torch.Tensor) -> None:
        values = (float(judge(originals, shown).mean()) for judge in judges)
        print(codec, quality, f"{size:.0f}", *(f"{value:.3f}" for value in values), flush=True)

    codec = hsc.load()
    for quality in range(0, codec.num_qualities, 2):
        files = [codec.compress(image, quality) for image in pixels]
        report(
            "ffhq128", quality, sum(map(len, files)) / len(files), averaged(codec.decompress(file) for file in files)
        )
    for anchor in map(anchors.load_anchor, ("large_faces:VVC", "large_faces:AV1")):
        for quality in anchor.qualities:
            coded = [anchor.encode_decode(image, quality) for image in pixels]
            size = sum(one.file_bytes for one in coded) / len(coded)
            report(anchor.name, quality, size, averaged(one.decoded for one in coded))


def averaged(pictures: Iterable[Picture]) -> torch.Tensor:
    """[N, 3, 256, 256] from pictures of any type."""
    return torch.cat([F.interpolate(next(to_tensors(picture)[1])[None], SIDE, mode="area") for picture in pictures])


if __name__ == "__main__":
    main()
