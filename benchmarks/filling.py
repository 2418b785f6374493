"""How to fill layers that were not sent: with their conditional mean, or with the mean of all faces.

    python benchmarks/filling.py [--faces 64] [--quality Q] [--model NAME] [--data ffhq128.zip]

Both are synthesised from the same files of the first layers. The mean is that of the training faces' latents.
"""

import argparse

import torch
from context import latents_of
from torch import Tensor

import hsc
from hsc.data.module import FaceDataModule
from hsc.images import resize
from hsc.judges import load_judge


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=64)
    parser.add_argument("--quality", type=int)
    parser.add_argument("--model", default="")
    parser.add_argument("--data", default="ffhq128.zip")
    given = parser.parse_args()
    codec = hsc.load(given.model)
    data = FaceDataModule(given.data, codec.size, train="00000-03999", validation="04000-04499")
    mean = [layer.mean(0, keepdim=True) for layer in latents_of(codec, data, "train")]
    faces = data.dataset("validation")
    originals: Tensor = faces[list(range(min(given.faces, len(faces))))]["image"]
    coded = codec.encode(codec.analyse(originals), given.quality)
    judges = {name: load_judge(name) for name in ("lpips.vgg", "psnr")}
    print("| layers sent | filled with | " + " | ".join(judges) + " |\n| --- | --- |" + " --- |" * len(judges))
    for sent in range(1, len(codec.layers)):
        decoded = codec.decode(coded, sent)
        means = [layer.expand(len(originals), -1, -1) for layer in mean[sent:]]
        for name, latents in {
            "conditional mean": decoded.latents,
            "mean of all faces": [*decoded.latents[:sent], *means],
        }.items():
            images = resize(codec.synthesise(latents, decoded.quality), originals.shape[-1]).clamp(-1, 1)
            seen = " | ".join(f"{float(judge(originals, images).mean()):.4g}" for judge in judges.values())
            print(f"| {codec.layers[sent - 1]} | {name} | {seen} |", flush=True)


if __name__ == "__main__":
    main()
