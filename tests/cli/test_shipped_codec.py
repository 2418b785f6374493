"""The commands without `--model`, with a small codec in place of the one that comes with hsc."""

import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest

import hsc
from hsc import released


@pytest.fixture
def shipped(codec_file: Path, prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    assets = tmp_path / "assets"
    assets.mkdir()
    shutil.copy(codec_file, assets / f"{released.DEFAULT_MODEL}.safetensors")
    shutil.move(prior, assets / f"{released.DEFAULT_PRIOR}.safetensors")
    for name in (released.DEFAULT_MODEL, released.DEFAULT_PRIOR):
        (assets / f"{name}.md").write_text("A card.")
    monkeypatch.setattr(released, "ASSETS", assets)
    return assets


def test_faces_are_drawn_coded_and_their_file_names_the_model(run, shipped: Path, tmp_path: Path):
    archive = tmp_path / "faces.zip"
    ended = run("data", "sample", archive, "--count", 3, "--seed", 1)
    assert (ended.status, ended.out) == (0, f"{archive}: 3 generated faces\n")
    with zipfile.ZipFile(archive) as faces:
        face = faces.extract("00002.png", tmp_path)
    run("data", "sample", tmp_path / "other.zip", "--count", 3, "--seed", 2)
    assert archive.read_bytes() != (tmp_path / "other.zip").read_bytes()

    coded = tmp_path / "face.hsc"
    assert run("encode", face, "-o", coded).status == 0
    assert run("decode", coded, "-o", tmp_path / "decoded.png").status == 0
    report = json.loads(run("inspect", coded, "--json").out)
    assert report["model"] == released.DEFAULT_MODEL
    assert report["model_id"] == hsc.load().model_id
    assert [layer["name"] for layer in report["layers"]] == ["basic", "middle", "enhanced"]


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        (False, f"ok {released.DEFAULT_MODEL}, 16x16, 3 layers, 4 qualities"),
        (True, "MISSING .* truncated or damaged"),
    ],
)
def test_doctor_tells_whether_the_shipped_codec_is_whole(run, shipped: Path, damaged: bool, said: str):
    asset = shipped / f"{released.DEFAULT_MODEL}.safetensors"
    asset.write_bytes(asset.read_bytes()[: -100 if damaged else None])
    ended = run("doctor")
    line = next(line for line in ended.out.splitlines() if line.startswith("pretrained codec"))
    assert re.match(f"pretrained codec {said}", " ".join(line.split()))
    assert ended.status == 0
