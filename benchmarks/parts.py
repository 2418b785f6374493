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
from judged import JudgedFaces, header

import hsc
from hsc.codec import Codec, Networks
from hsc.data.module import FaceDataModule
from hsc.nets import quantise
from hsc.training.eigenfaces import silence_drawing, silence_encoder, silence_styles

ROUNDING = "rounding by cost"

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
    data = FaceDataModule(given.data, 128, train="00000-00009", validation="04000-04499")
    judged = JudgedFaces(data, given.faces)
    print(header("quality", "off", "bytes"))
    for quality in map(int, given.qualities.split(",")):
        for part, switch_off in PARTS.items():
            networks = deepcopy(codec.networks)
            switch_off(networks)
            partial = Codec(codec.model, networks, codec.entropy, codec.table)
            with patch.object(quantise, "BIT", 0.0 if part == ROUNDING else quantise.BIT):
                coded = partial.encode(partial.analyse(judged.originals), quality)
            decoded = partial.decode(coded)
            shown = partial.synthesise(decoded.latents, decoded.quality)
            size = sum(map(len, coded.files)) / len(coded.files)
            print(f"| {quality} | {part} | {size:.1f} | {judged.row(shown)} |", flush=True)


if __name__ == "__main__":
    main()
