"""`hsc evaluate` and `hsc compare`, from pictures to curves."""

import csv
import json
from pathlib import Path

import pytest
from pictures import write_pictures

from hsc.coding.container import read


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Three pictures of 32×32 pixels."""
    return write_pictures(tmp_path / "faces", 3, 32, squares=8, digits=1)


@pytest.mark.slow
def test_measured_and_compared(run, codec_file: Path, faces: Path, tmp_path: Path):
    results, page = tmp_path / "results", tmp_path / "page"
    ended = run(
        *("evaluate", codec_file, "--data", faces, "--limit", 2, "--split", "*"),
        *("--judges", "psnr", "--anchors", "jpeg", "--out", results),
    )
    assert ended.status == 0, ended.err
    *said, results_file, table_file = ended.out.splitlines()
    assert [results_file, table_file] == [str(results / "results.json"), str(results / "per_image.csv")]
    assert said[0].strip() == "tiny enhanced, means over 2 faces"
    words = [line.split()[:2] for line in said]
    assert [two for two in words if two[:1] == ["quality"]] == [["quality", str(n)] for n in range(4)]
    assert any(line.startswith("At ") and "bytes per face" in line for line in said)
    assert f"hsc compare {results} --out DIR" in said[-1]

    with open(results / "per_image.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["codec"] for row in rows} == {"tiny", "jpeg"}
    assert {row["image"] for row in rows} == {"0.png", "1.png"}
    assert {row["layer"] for row in rows if row["codec"] == "tiny"} == {"basic", "middle", "enhanced"}
    for row in rows:
        if row["codec"] == "tiny":
            (file,) = results.glob(f"files/tiny/quality-{row['quality']}/{row['layer']}/{row['image']}.hsc")
            assert int(row["slice_bytes"]) == sum(map(len, read(file.read_bytes()).chunks)) < int(row["bytes"])
    curve = json.loads((results / "results.json").read_text())
    assert len(curve["results"]["bpp"]) == 4, "one point per quality"
    assert len(curve["results"]["psnr"]) == 4

    ended = run("compare", results, "--reference", "tiny basic", "--count", "pictures", "--out", page)
    assert ended.status == 0, ended.err
    assert ended.out == f"{page / 'index.html'}\n"
    assert "BD-rate against tiny basic, coded pictures alone" in (page / "tables.md").read_text()
    for name in ("index.html", "psnr.svg", "psnr.png"):
        assert (page / name).stat().st_size > 1000


def test_some_qualities_and_judges(run, codec_file: Path, faces: Path, tmp_path: Path):
    ended = run(
        *("evaluate", codec_file, "--data", faces, "--limit", 1, "--qualities", "2,0", "--judges", "psnr"),
        *("--faces", 0, "--out", tmp_path / "out"),
    )
    assert ended.status == 0, ended.err
    with open(tmp_path / "out" / "per_image.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["quality"] for row in rows} == {"0", "2"}
    assert all(float(row["psnr"]) > 0 for row in rows)
    assert not {"lpips_vgg", "dists", "ms_ssim"} & set(rows[0])


@pytest.mark.parametrize(
    ("option", "wanted", "wrong"),
    [
        ("--qualities", "whole numbers", ("-1", "1.5", "x", "1,,inf")),
        ("--at-bytes", "positive numbers", ("100,many", "-5", "inf", "0")),
    ],
)
def test_what_is_no_number_is_wrong_usage(run, codec_file: Path, faces: Path, tmp_path: Path, option, wanted, wrong):
    for numbers in wrong:
        ended = run("evaluate", codec_file, "--data", faces, f"{option}={numbers}", "--out", tmp_path / "out")
        ended.assert_wrong_usage(f"{option} takes {wanted}")
    ended = run("evaluate", codec_file, "--data", faces, "--at-bytes=100", "--out", tmp_path / "out")
    ended.assert_wrong_usage("--at-bytes and --at-bpp are sizes of anchors: give --anchors")
    assert not (tmp_path / "out").exists()


def test_mistakes_are_one_line(run, codec_file: Path, faces: Path, tmp_path: Path):
    out = ("--out", tmp_path / "out")
    for arguments, word in (
        (("evaluate", codec_file, "--data", tmp_path / "nowhere", *out), "nowhere"),
        (("evaluate", tmp_path / "nowhere", "--data", faces, *out), "no weights"),
        (("evaluate", codec_file, "--data", faces, "--anchors", "bogus", *out), "bogus"),
        (("evaluate", codec_file, "--data", faces, "--judges", "bogus", *out), "unknown judge 'bogus'"),
        (("evaluate", codec_file, "--data", faces, "--qualities", "0,9", *out), "has no quality 9"),
        (("compare", tmp_path / "nowhere", *out), "nowhere"),
    ):
        run(*arguments).assert_refused(word)
