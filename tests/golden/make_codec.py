"""Made codec-v1.safetensors, the codec-v1-*.hsc files and codec-v1.json, once:

    PYTHONPATH=tests python tests/golden/make_codec.py

Running it again, perhaps with other libraries, would give other weights and so prove nothing: version 1 of the format
must decode the files that are here to the symbols that are here, for ever.
"""

import json
from pathlib import Path

import torch
from tiny_model import SIZE, tiny_codec, tiny_model

from hsc import codec_file
from hsc.coding.container import Header, write
from hsc.images import resize
from hsc.layer_coder import LayerCoder

HERE = Path(__file__).parent
# Name, quality, layers, side in the header, factor on the latents: usual symbols, nothing but zeros, escapes.
CASES = [
    ("fewest-bytes", 0, 3, 32, 1.0),
    ("most-bytes", 1, 3, 32, 1.0),
    ("two-layers", 1, 2, 128, 1.0),
    ("one-layer", 0, 1, 2040, 1.0),
    ("faint", 0, 3, 8, 0.01),
    ("loud", 1, 3, 64, 40.0),
    ("escapes", 1, 3, 64, 1e6),
]


@torch.no_grad()
def main() -> None:
    model = tiny_model()
    model.encoder.channels, model.encoder.pyramid_channels = [8] * 4, 16
    model.generator.channels = [8] * 4
    codec, entropy = tiny_codec(model, seed=20, fineness=3.0)
    codec_file.save(HERE / "codec-v1.safetensors", codec, entropy, {"title": "fixed for tests"})
    coder = LayerCoder(codec.entropy, codec.table, codec.networks.gain)
    coarse = torch.rand(len(CASES), 3, 6, 6, generator=torch.Generator().manual_seed(21)) * 2 - 1
    golden = []
    for image, (name, quality, layers, side, factor) in zip(resize(coarse, SIZE), CASES, strict=True):
        level = torch.tensor([quality])
        progress, chunks, symbols = coder.begin(level), [], []
        for latents in codec.networks.encoder(image[None])[:layers]:
            coded = coder.encode(progress, latents * factor, level)
            progress = coded.progress
            chunks += coded.chunks
            symbols.append(coded.symbols[0].tolist())
        (HERE / f"codec-v1-{name}.hsc").write_bytes(write(Header(codec.model_id, quality, side), chunks))
        golden.append({"name": name, "quality": quality, "size": side, "symbols": symbols})
    text = ",\n".join(json.dumps(case) for case in golden)
    (HERE / "codec-v1.json").write_text(f'{{"model_id": {codec.model_id}, "files": [\n{text}\n]}}\n')


if __name__ == "__main__":
    main()
