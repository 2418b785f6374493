"""Made the codec-v2-*.hsc files and codec-v2.json from codec-v1.safetensors, once:

    python tests/golden/make_v2.py

Like those of version 1 they stay as they are: version 2 of the format must decode the files that are here to the
symbols that are here, for ever.
"""

import json
from pathlib import Path

import torch

import hsc
from hsc.images import resize

HERE = Path(__file__).parent
# Name, quality, layers coded, (width, height), factor on each layer's latents: qualities between levels, sizes of both
# forms, layers that are empty at the end and in between, escapes.
CASES = [
    ("between-levels", 0.3, 3, (32, 32), (1.0, 1.0, 1.0)),
    ("most-bytes", 1.0, 3, (2040, 2040), (1.0, 1.0, 1.0)),
    ("any-size", 0.5, 3, (250, 187), (1.0, 1.0, 1.0)),
    ("largest-size", 1.0, 1, (65535, 65535), (1.0, 1.0, 1.0)),
    ("empty-end", 0.0, 3, (64, 64), (3.0, 0.01, 0.01)),
    ("empty-middle", 0.8, 3, (64, 64), (3.0, 0.01, 3.0)),
    ("all-empty", 0.0, 3, (8, 8), (0.01, 0.01, 0.01)),
    ("escapes", 0.9, 3, (64, 64), (1e6, 1e6, 1e6)),
]


@torch.no_grad()
def main() -> None:
    codec = hsc.load(HERE / "codec-v1.safetensors", "cpu")
    coarse = torch.rand(len(CASES), 3, 6, 6, generator=torch.Generator().manual_seed(22)) * 2 - 1
    golden = []
    for image, (name, quality, layers, size, factors) in zip(resize(coarse, codec.size), CASES, strict=True):
        latents = [layer * factor for layer, factor in zip(codec.analyse(image[None]), factors, strict=True)]
        coded = codec.encode(latents[:layers], quality, sizes=[size])
        (HERE / f"codec-v2-{name}.hsc").write_bytes(coded.files[0])
        symbols = [layer[0].tolist() for layer in coded.symbols]
        golden.append({"name": name, "position": int(coded.position), "size": size, "symbols": symbols})
    text = ",\n".join(json.dumps(case) for case in golden)
    (HERE / "codec-v2.json").write_text(f'{{"model_id": {codec.model_id}, "files": [\n{text}\n]}}\n')


if __name__ == "__main__":
    main()
