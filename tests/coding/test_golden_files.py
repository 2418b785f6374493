"""The files of format versions 1 and 2 in tests/golden still decode to the symbols from which they were made."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import hsc
from hsc.codec import Codec
from hsc.coding.container import read, write
from hsc.nets.fixed_point import LATENT_BITS

FOLDER = Path(__file__).parent.parent / "golden"
VERSIONS = {version: json.loads((FOLDER / f"codec-v{version}.json").read_text()) for version in (1, 2)}
GOLDEN = [(version, golden) for version, of_version in VERSIONS.items() for golden in of_version["files"]]


@pytest.fixture(scope="module")
def codec() -> Codec:
    return hsc.load(FOLDER / "codec-v1.safetensors")


def test_the_weights_keep_their_id(codec: Codec):
    assert codec.model_id == VERSIONS[1]["model_id"] == VERSIONS[2]["model_id"] == codec.card["model_id"]
    assert (FOLDER / "codec-v1.safetensors").stat().st_size < 300_000


def content(version: int, golden: dict) -> bytes:
    return (FOLDER / f"codec-v{version}-{golden['name']}.hsc").read_bytes()


@pytest.mark.parametrize(
    ("version", "golden"), GOLDEN, ids=lambda value: value["name"] if isinstance(value, dict) else ""
)
def test_every_prefix_of_a_golden_file_decodes_to_its_symbols(codec: Codec, version: int, golden: dict):
    data, symbols = content(version, golden), golden["symbols"]
    decoded = codec.decode([data], strict=True)
    width, height = golden["size"] if version == 2 else (golden["size"],) * 2
    assert decoded.sizes == [(width, height)]
    assert decoded.quality.item() == pytest.approx(golden["position"] / 255 if version == 2 else golden["quality"])
    assert decoded.damage == [None]
    for layers in range(1, len(codec.layers) + 1):
        found = [layer[0].tolist() for layer in codec.decode([data], layers).symbols]
        assert found[:layers][: len(symbols)] == symbols[:layers]
        assert not any(number for layer in found[layers:] for row in layer for number in row)
    image = codec.decompress(data, strict=True, native=width > 10_000)
    assert image.shape[-2:] == ((codec.size, codec.size) if width > 10_000 else (height, width))
    assert image.isfinite().all()


def test_an_encoder_still_writes_the_golden_files_of_version_2(codec: Codec):
    for golden in VERSIONS[2]["files"]:
        data = content(2, golden)
        header, chunks, *_ = read(data)
        assert write(header, chunks) == data
        assert write(header, [*chunks, b"", b""]) == data, "empty layers at the end cost nothing"


SHIPPED = json.loads((FOLDER / "ffhq128-v2.json").read_text())


@pytest.mark.parametrize("golden", SHIPPED["files"], ids=lambda golden: f"quality {golden['quality']}")
def test_files_of_the_shipped_codec_still_decode(golden: dict):
    codec = hsc.load("ffhq128", "cpu")
    assert codec.model_id == SHIPPED["model_id"]
    decoded = codec.decode([bytes.fromhex(golden["file"])], strict=True)
    assert decoded.quality.item() == pytest.approx(golden["quality"], abs=0.02)  # stored in steps of 1/31 level
    digest = hashlib.sha256(b"".join(layer.numpy().tobytes() for layer in decoded.symbols))
    assert digest.hexdigest() == golden["symbols"]


def fingerprint() -> str:
    """Digest of the symbols of every golden file and of the entropy model's prediction for each layer."""
    of_formats = [content(version, golden) for version, golden in GOLDEN]
    of_shipped = [bytes.fromhex(golden["file"]) for golden in SHIPPED["files"]]
    digest = hashlib.sha256()
    for name, files in ((FOLDER / "codec-v1.safetensors", of_formats), ("ffhq128", of_shipped)):
        codec = hsc.load(name, "cpu")
        for file in files:
            progress = codec.entropy.begin(torch.tensor([read(file).header.quality]))
            for symbols in codec.decode([file]).symbols:
                assert progress.expected is not None
                for integers in (symbols, *progress.expected):
                    digest.update(integers.contiguous().numpy().tobytes())
                latents = (symbols << LATENT_BITS) + progress.expected.mean
                progress = codec.entropy.advance(progress, latents)
    return digest.hexdigest()


@pytest.mark.slow
def test_other_processors_settings_read_the_same_symbols():
    """Other instruction sets in ATen, oneDNN, MKL and OpenBLAS, which would change the results of a float network."""
    settings = [
        {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}
        | {"OPENBLAS_CORETYPE": "Prescott"},
        {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "AVX2", "OMP_NUM_THREADS": "2"}
        | {"OPENBLAS_CORETYPE": "Haswell", "OPENBLAS_NUM_THREADS": "2", "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX2"},
    ]
    command = [sys.executable, __file__]
    runs = [subprocess.Popen(command, env=os.environ | set_, stdout=subprocess.PIPE, text=True) for set_ in settings]
    assert [run.communicate(timeout=300)[0].strip() for run in runs] == [fingerprint()] * len(settings)


if __name__ == "__main__":
    print(fingerprint())
