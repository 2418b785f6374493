"""`hsc inspect` describes the contents of complete and truncated files."""

import json
from pathlib import Path

import pytest

from hsc.coding import container

GOLDEN = Path(__file__).parents[1] / "golden"
HEADER = container.Header(model_id=0x1234, quality=2, width=128, height=120)
CHUNKS = [b"basic", b"mid", b"the enhanced layer"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "face.hsc"
    path.write_bytes(container.write(HEADER, CHUNKS))
    return path


def test_json_accounts_for_every_byte(run, file: Path):
    ended = run("inspect", file, "--json")
    assert (ended.status, ended.err) == (0, "")
    report = json.loads(ended.out)
    assert (report["model_id"], report["quality_byte"], report["quality"]) == (0x1234, 2, None)
    assert (report["width"], report["height"], report["damage"]) == (128, 120, None)
    assert [layer["bits"] for layer in report["layers"]] == [8 * len(chunk) for chunk in CHUNKS]
    prefixes = [len(container.write(HEADER, CHUNKS[:count])) for count in (1, 2, 3)]
    assert [layer["bytes_so_far"] for layer in report["layers"]] == prefixes
    assert report["bytes"] == prefixes[-1] == file.stat().st_size
    assert report["layers"][-1]["bpp_so_far"] == pytest.approx(8 * report["bytes"] / (128 * 120), abs=1e-6)


@pytest.mark.parametrize("name", ["codec-v1-one-layer", "codec-v1-two-layers", "codec-v2-empty-middle"])
def test_files_of_every_version(run, name: str):
    file = GOLDEN / f"{name}.hsc"
    report, header = json.loads(run("inspect", file, "--json").out), container.read(file.read_bytes()).ends[0]
    lengths = [layer["bytes_so_far"] for layer in report["layers"]]
    assert lengths == sorted(lengths)
    assert lengths[-1] == report["bytes"]
    assert sum(layer["bytes"] for layer in report["layers"]) == report["bytes"] - header


def test_text_names_the_model_and_each_layer(run, file: Path):
    out = run("inspect", file).out
    assert "1234" in out
    assert f"{file.stat().st_size} bytes" in out
    header = len(container.write(HEADER, []))
    assert out.splitlines()[-4].split() == ["header", str(header), str(8 * header), str(header)]
    assert out.splitlines()[-1].split()[-4:-1] == ["21", "144", str(file.stat().st_size)]


def test_a_torn_file_shows_what_is_whole(run, file: Path):
    file.write_bytes(file.read_bytes()[:-1])
    report = json.loads(run("inspect", file, "--json").out)
    assert len(report["layers"]) == 2
    assert "layer 3" in report["damage"]


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n"])
def test_a_stranger_is_refused_by_name(run, tmp_path: Path, content: bytes):
    stranger = tmp_path / "stranger.hsc"
    stranger.write_bytes(content)
    for file in (stranger, tmp_path / "nowhere.hsc"):
        run("inspect", file).assert_refused(file)
