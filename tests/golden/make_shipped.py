"""Makes ffhq128-v2.json: files of the codec that comes with hsc, of an example face, and what they decode to.

    python tests/golden/make_shipped.py

To be run once for each codec that is released: these files must decode for as long as it is the one that ships.
"""

import hashlib
import json
from pathlib import Path

import hsc
from hsc.codec import Codec
from hsc.data.examples import example_faces

HERE = Path(__file__).parent
QUALITIES = (0.0, 2.5, 5.0, 8.0)


def digest(codec: Codec, file: bytes) -> str:
    """Hash of the symbols of a file."""
    symbols = codec.decode([file], strict=True).symbols
    return hashlib.sha256(b"".join(layer.numpy().tobytes() for layer in symbols)).hexdigest()


def main() -> None:
    codec = hsc.load(device="cpu")
    golden = []
    for quality in QUALITIES:
        file = codec.compress(str(example_faces()[0]), quality)
        golden.append({"quality": quality, "file": file.hex(), "symbols": digest(codec, file)})
    text = ",\n".join(json.dumps(case) for case in golden)
    (HERE / "ffhq128-v2.json").write_text(f'{{"model_id": {codec.model_id}, "files": [\n{text}\n]}}\n')


if __name__ == "__main__":
    main()
