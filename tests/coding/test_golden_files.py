"""Version 1 of the format decodes the files in tests/golden to the symbols that they were made from, for ever."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import hsc
from hsc.codec import Codec

FOLDER = Path(__file__).parent.parent / "golden"
GOLDEN = json.loads((FOLDER / "codec-v1.json").read_text())
LARGEST_IN_THE_TABLE = 127


@pytest.fixture(scope="module")
def codec() -> Codec:
    return hsc.load(FOLDER / "codec-v1.safetensors")


def symbols_of(codec: Codec, data: bytes, layers: int | None = None) -> list:
    decoded = codec.decode_latents([codec.open(data, layers, strict=True)])
    return [layer[0].tolist() for layer in decoded.symbols]


def test_the_weights_keep_their_id(codec: Codec):
    assert codec.model_id == GOLDEN["model_id"] == codec.card["model_id"]
    assert (FOLDER / "codec-v1.safetensors").stat().st_size < 300_000


@pytest.mark.parametrize("golden", GOLDEN["files"], ids=lambda golden: golden["name"])
def test_every_prefix_of_a_golden_file_decodes_to_its_symbols(codec: Codec, golden: dict):
    data = (FOLDER / f"codec-v1-{golden['name']}.hsc").read_bytes()
    header = codec.open(data).header
    assert (header.quality, header.size) == (golden["quality"], golden["size"])
    for layers in range(1, len(golden["symbols"]) + 1):
        assert symbols_of(codec, data, layers) == golden["symbols"][:layers]
    (image,) = codec.decompress([data], strict=True)
    assert image.shape == (3, header.size, header.size)
    assert image.isfinite().all()


def test_the_golden_files_hold_the_cases_that_matter():
    magnitudes = {
        golden["name"]: [abs(number) for layer in golden["symbols"] for row in layer for number in row]
        for golden in GOLDEN["files"]
    }
    assert not any(magnitudes["faint"])
    assert 2 <= max(magnitudes["most-bytes"]) <= LARGEST_IN_THE_TABLE
    assert max(magnitudes["escapes"]) > LARGEST_IN_THE_TABLE
    assert {len(golden["symbols"]) for golden in GOLDEN["files"]} == {1, 2, 3}


@pytest.mark.slow
def test_other_processors_settings_read_the_same_symbols():
    settings = [
        {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "OPENBLAS_CORETYPE": "Prescott"},
        {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "COMPATIBLE", "OPENBLAS_CORETYPE": "Haswell"},
    ]
    runs = [subprocess.Popen([sys.executable, __file__], env=os.environ | setting) for setting in settings]
    assert [run.wait(timeout=300) for run in runs] == [0] * len(settings)


def main() -> None:
    """What a subprocess does: exit 0 if every file decodes to its symbols."""
    codec = hsc.load(FOLDER / "codec-v1.safetensors")
    for golden in GOLDEN["files"]:
        assert symbols_of(codec, (FOLDER / f"codec-v1-{golden['name']}.hsc").read_bytes()) == golden["symbols"]


if __name__ == "__main__":
    main()
