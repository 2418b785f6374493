"""Overhead of files over the entropy model's ideal, and of that over the float network's; do all settings decode alike?

    python benchmarks/bitstream.py [--faces 200] [--model MODEL] [--data ffhq128.zip] [--split 04000-04499]

Encodes faces with this process's settings, then decodes the files in fresh processes under others: instruction sets of
ATen, oneDNN, MKL, OpenBLAS and NumPy, threads, batch sizes. Exits 1 if a symbol differs.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

import hsc
from hsc.checkpoints import weights_file
from hsc.codec import Codec
from hsc.data.faces import open_faces
from hsc.images import resize, to_tensor
from hsc.modules.entropy import EntropyModule
from hsc.released import find_weights

BATCH = 16
SETTINGS: dict[str, dict[str, str]] = {
    "SSE4.1, 1 thread, batches of 1": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_CBWR": "COMPATIBLE",
        "OPENBLAS_CORETYPE": "Prescott",
        "OMP_NUM_THREADS": "1",
        "BATCH": "1",
    },
    "AVX2, 2 threads, batches of 7": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_CBWR": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX",
        "OMP_NUM_THREADS": "2",
        "BATCH": "7",
    },
    "all the processor has, 1 thread, batches of 50": {
        "ATEN_CPU_CAPABILITY": "avx512",
        "ONEDNN_MAX_CPU_ISA": "ALL",
        "MKL_CBWR": "AVX512",
        "OMP_NUM_THREADS": "1",
        "BATCH": "50",
    },
}


def fingerprint(symbols: Iterator[Tensor]) -> str:
    """Fingerprint of int64 symbols, file after file, layer after layer."""
    return hashlib.sha256(b"".join(layer.contiguous().numpy().tobytes() for layer in symbols)).hexdigest()


def decoded_symbols(codec: Codec, files: list[bytes], batch: int) -> Iterator[Tensor]:
    for start in range(0, len(files), batch):
        decoded = codec.decode(files[start : start + batch], strict=True)
        for index in range(len(decoded.quality)):
            yield from (layer[index] for layer in decoded.symbols)


@torch.no_grad()
def float_bits(codec: Codec, model: str, images: Tensor, quality: Tensor) -> Tensor:
    """[N] bits that the trained float network would spend."""
    entropy = EntropyModule(codec.model)
    tensors = weights_file.load(find_weights(model)).tensors
    prefix = "entropy.net."
    state = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    entropy.net.load_state_dict(state)
    entropy.gain.load_state_dict(codec.networks.gain.state_dict())
    latents = codec.networks.encoder(resize(images, codec.size).contiguous(memory_format=torch.channels_last))
    return entropy(latents, quality, "round").row_bits.double().sum(1)


def read_back(folder: Path, model: str) -> None:
    """Run by a fresh process: print the fingerprint of the files' symbols."""
    files = [path.read_bytes() for path in sorted(folder.glob("*.hsc"))]
    print(fingerprint(decoded_symbols(hsc.load(model), files, int(os.environ["BATCH"]))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=200)
    parser.add_argument("--model", default="")
    parser.add_argument("--data", default="ffhq128.zip")
    parser.add_argument("--split", default="04000-04499")
    parser.add_argument("--read-back", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read_back:
        return read_back(arguments.read_back, arguments.model)

    codec, faces = hsc.load(arguments.model), open_faces(arguments.data, arguments.split)
    images = torch.stack([to_tensor(faces.load(name)) for name in faces.names[: arguments.faces]])
    different = 0
    for quality in range(codec.num_qualities):
        coded = [codec.encode(codec.analyse(batch), quality) for batch in images.split(BATCH)]
        files = [data for batch in coded for data in batch.files]
        ideal = torch.cat([batch.bits(len(codec.layers)) for batch in coded]) / 8
        real = torch.tensor([len(data) for data in files], dtype=torch.float64)
        over, within = real - ideal, (real <= 1.01 * ideal + 15).double().mean()
        print(
            f"quality {quality}: {len(files)} files of {real.mean():.2f} bytes, ideal {ideal.mean():.2f}, over it "
            f"{over.mean():.2f} (at most {over.max():.2f}); 15 bytes and 1 % suffice for the mean: "
            f"{bool(real.mean() <= 1.01 * ideal.mean() + 15)}, for {100 * within:.0f} % of the files",
            flush=True,
        )
        trained = torch.cat(
            [
                float_bits(codec, arguments.model, batch, done.quality)
                for batch, done in zip(images.split(BATCH), coded, strict=True)
            ]
        )
        print(f"  bits over the float network's: {100 * (8 * ideal.mean() / trained.mean() - 1):+.3f} %")
        sent = fingerprint(
            layer[index] for batch in coded for index in range(len(batch.files)) for layer in batch.symbols
        )
        with tempfile.TemporaryDirectory() as folder:
            for number, data in enumerate(files):
                (Path(folder) / f"{number:06}.hsc").write_bytes(data)
            command = [sys.executable, __file__, "--read-back", folder, "--model", arguments.model]
            for name, setting in SETTINGS.items():
                printed = subprocess.run(
                    command, env=os.environ | setting, stdout=subprocess.PIPE, text=True, check=True
                )
                same = printed.stdout.strip() == sent
                different += not same
                print(f"  {name}: {'the same symbols' if same else 'OTHER SYMBOLS'}", flush=True)
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
