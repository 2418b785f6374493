"""No command overwrites anything it did not write: neither its inputs, under any name, nor other files."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from hsc.checkpoints import export_generator, import_generator, is_imported
from hsc.files import zip_made_here


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (("prior", "import"), "out.pt"),
        (("prior", "export"), "out.pt"),
        (("prior", "sample"), "out.png"),
        (("data", "sample", "--count", 1, "--generator"), "out.zip"),
    ],
)
def test_inputs_and_foreign_files_stay_and_own_ones_are_replaced(
    run, prior: Path, tmp_path: Path, command: tuple, name: str
):
    command, out = (*command, prior), tmp_path / name
    (tmp_path / "link").symlink_to(prior)
    os.link(prior, tmp_path / "hard")
    before = prior.read_bytes()
    for same in (prior, tmp_path / "link", tmp_path / "hard"):
        run(*command, same, "--force").assert_refused("input and output are the same file")
    out.write_bytes(b"precious")
    run(*command, out).assert_refused(str(out), "--force")
    assert (prior.read_bytes(), out.read_bytes()) == (before, b"precious")
    assert run(*command, out, "--force").status == 0
    assert run(*command, out).status == 0, "its own"


def test_a_trained_generator_is_no_imported_one(prior: Path, tmp_path: Path):
    assert not is_imported(prior)
    import_generator(prior, tmp_path / "imported.safetensors")
    assert is_imported(tmp_path / "imported.safetensors")
    assert not is_imported(tmp_path / "absent")


@pytest.mark.parametrize("layout", ["nvlabs", "rosinality", "psp"])
def test_the_mark_of_an_export_is_nothing_to_those_who_load_it(prior: Path, tmp_path: Path, layout: str):
    export_generator(prior, tmp_path / "out.pt", layout)
    assert zip_made_here(tmp_path / "out.pt")
    mapped = torch.load(tmp_path / "out.pt", weights_only=True, mmap=True)
    torch.save(torch.load(tmp_path / "out.pt", weights_only=True), tmp_path / "again.pt")
    assert mapped.keys() == torch.load(tmp_path / "again.pt", weights_only=True).keys()
    assert not zip_made_here(tmp_path / "again.pt")
    assert not zip_made_here(prior)


def test_prepare_replaces_neither_its_source_nor_files_of_others(run, tmp_path: Path):
    photographs = tmp_path / "photographs.zip"
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    shutil.make_archive(str(photographs.with_suffix("")), "zip", tmp_path, "a.png")
    before = photographs.read_bytes()
    (tmp_path / "link.zip").symlink_to(photographs)
    for out in (photographs, tmp_path / "link.zip"):
        run("data", "prepare", photographs, out, "--size", 32, "--force").assert_refused("same file")
    for name in ("faces.zip", "faces.html", "faces.manifest.jsonl"):
        (tmp_path / name).write_bytes(b"precious\n")
        run("data", "prepare", photographs, tmp_path / "faces.zip", "--size", 32).assert_refused(name, "--force")
        assert (tmp_path / name).read_bytes() == b"precious\n"
        (tmp_path / name).unlink()
    long = tmp_path / f"{'x' * 250}.zip"
    run("data", "prepare", photographs, long, "--size", 32).assert_refused("too long a name")
    assert photographs.read_bytes() == before


def test_results_of_evaluations_and_comparisons_have_folders_of_their_own(run, codec_file: Path, tmp_path: Path):
    faces, out = tmp_path / "faces", tmp_path / "out"
    faces.mkdir()
    out.mkdir()
    Image.new("RGB", (32, 32)).save(faces / "a.png")
    (tmp_path / "link").symlink_to(faces)
    for inside in (faces, faces / "results", tmp_path / "link"):
        run("evaluate", codec_file, "--data", faces, "--out", inside).assert_refused("among the inputs")
    assert os.listdir(faces) == ["a.png"]
    (out / "results.json").write_text("precious")
    run("evaluate", codec_file, "--data", faces, "--out", out).assert_refused("results.json", "--force")
    shutil.copy(faces / "a.png", out / "own figure.png")
    run("compare", out, "--out", out).assert_refused("own figure.png", "--force")
    run("evaluate", codec_file, "--data", faces, "--out", out / "results.json").assert_refused("is a file")
    assert (out / "results.json").read_text() == "precious"
    assert sorted(os.listdir(out)) == ["own figure.png", "results.json"]


def test_a_sweep_replaces_neither_its_file_nor_those_of_others(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text("program: train.py\nmethod: grid\nmetric: {name: val/x}\nparameters: {a: {values: [1]}}\n")
    monkeypatch.setattr("hsc.sweeps.run.check", lambda sweep, settings: None)
    before = sweep.read_text()
    run("sweep", sweep, "--dir", tmp_path, "--force").assert_refused("same file")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("precious")
    run("sweep", sweep, "--dir", tmp_path / "site").assert_refused("index.html", "--force")
    assert (sweep.read_text(), os.listdir(tmp_path / "site")) == (before, ["index.html"])
