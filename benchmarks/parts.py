"""What the parts of a codec contribute: the same faces with a part at a time switched off.

    python benchmarks/parts.py [--faces 100] [--qualities 1,3,5] [--model MODEL] [--data ffhq128.zip]

Off are: what the encoder's network adds to the coefficients of the components; what the heads make of latents, so that
every face has the mean style; all that the generator draws, so that the linear path is left; rounding by what symbols
cost, so that each goes to the nearest integer. Nothing is trained again.
Bytes are those of real files; rank-1 is among the 500 validation faces.
"""

import argparse
from collections.abc import Callable
from copy import deepcopy
from unittest.mock import patch

import torch
from torch import Tensor

import hsc
from hsc.codec import Codec, Networks
from hsc.data.module import FaceDataModule
from hsc.images import resize
from hsc.judges import load_judge
from hsc.nets import quantise
from hsc.training.eigenfaces import silence_drawing, silence_encoder, silence_styles

ROUNDING = "rounding by cost"
JUDGES = ("lpips.vgg", "dlib", "psnr")


PARTS: dict[str, Callable[[Networks], None]] = {
    "nothing": lambda networks: None,
    ROUNDING: lambda networks: None,
    "the encoder's network": lambda networks: silence_encoder(networks.encoder),
    "styles": lambda networks: silence_styles(networks.heads),
    "the generator's drawing": lambda networks: silence_drawing(networks.generator),
}


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=100)
    parser.add_argument("--qualities", default="1,3,5")
    parser.add_argument("--model", default="")
    parser.add_argument("--data", default="ffhq128.zip")
    given = parser.parse_args()
    codec = hsc.load(given.model)
    gallery = FaceDataModule(given.data, 128, train="00000-00009", validation="04000-04499").dataset("validation")
    everybody: Tensor = gallery[list(range(len(gallery)))]["image"]
    originals = everybody[: given.faces]
    judges = {name: load_judge(name) for name in JUDGES}
    known = torch.cat([judges["dlib"](part) for part in everybody.split(50)])
    print("| quality | off | bytes | LPIPS-VGG | rank-1 | dlib distance | PSNR |\n" + "| --- " * 7 + "|")
    for quality in map(int, given.qualities.split(",")):
        for part, switch_off in PARTS.items():
            networks = deepcopy(codec.networks)
            switch_off(networks)
            partial = Codec(codec.model, networks, codec.entropy, codec.table)
            with patch.object(quantise, "BIT", 0.0 if part == ROUNDING else quantise.BIT):
                coded = partial.code(originals, quality)
            shown = resize(partial.reconstruct(coded, len(codec.layers)), originals.shape[-1]).clamp(-1, 1)
            distances = torch.cdist(judges["dlib"](shown), known)
            found = (distances.argmin(1) == torch.arange(len(shown))).float().mean()
            pairs = zip(originals.split(20), shown.split(20), strict=True)
            vgg = torch.cat([judges["lpips.vgg"](a, b) for a, b in pairs])
            size = sum(map(len, coded.files)) / len(coded.files)
            print(
                f"| {quality} | {part} | {size:.1f} | {vgg.mean():.3f} | {100 * found:.0f} % | "
                f"{distances.diagonal().mean():.3f} | {judges['psnr'](originals, shown).mean():.2f} dB |",
                flush=True,
            )


if __name__ == "__main__":
    main()
