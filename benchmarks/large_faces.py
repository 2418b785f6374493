"""Faces of 1024×1024 beside VVC and AV1, of whose qualities only the lowest spend as few bytes.

    PYTHONPATH=benchmarks hsc evaluate ffhq128 --data portraits.zip --anchors large_faces:VVC,large_faces:AV1 \\
        --judges lpips.alex,psnr,dlib,dlib68 --out results/large
    PYTHONPATH=benchmarks python benchmarks/large_faces.py portraits.zip [--split '*-05.jpg']

The first measures pictures at their size. The second averages them over areas to 256×256 before it compares: what they
look like from farther away.
"""

import argparse

import numpy as np
import torch
import torch.nn.functional as F

import hsc
from hsc.data.faces import open_faces
from hsc.evaluation import anchors
from hsc.images import to_tensors
from hsc.judges import load_judge

SIDE = 256
JUDGES = ("lpips.alex", "lpips.vgg", "dists")


class VVC(anchors.VVC):
    """By the bytes that generative codecs spend, and a few times these."""

    qualities = (63, 60, 57, 54)


class AV1(anchors.AV1):
    """The smallest files."""

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
    for name in ("vvc", "av1"):
        anchor = anchors.load_anchor(f"large_faces:{name.upper()}")
        for quality in {"vvc": VVC, "av1": AV1}[name].qualities:
            coded = [anchor.encode_decode(image, quality) for image in pixels]
            report(name, quality, sum(c.file_bytes for c in coded) / len(coded), averaged(c.decoded for c in coded))


def averaged(pictures) -> torch.Tensor:  # type: ignore[no-untyped-def]
    """[N, 3, 256, 256] of pictures of any kind."""
    return torch.cat([F.interpolate(next(to_tensors(picture)[1])[None], SIDE, mode="area") for picture in pictures])


if __name__ == "__main__":
    main()
