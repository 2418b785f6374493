"""`hsc train` from a file and overrides to a codec that encodes, and how it ends when interrupted."""

from pathlib import Path

import pytest
import typer
import yaml
from pictures import write_pictures
from tiny_model import EXPERIMENT

import hsc
from hsc.cli.train import split_overrides

STAGES = {"stages": {"joint": {"steps": 100000, "save_every": 5}}, "run": ["joint"]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an experiment and 32 pictures."""
    write_pictures(tmp_path / "faces", 32)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(EXPERIMENT | STAGES))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_files_and_overrides_are_told_apart():
    words = ["a.yaml", "seed=1", "--stages.joint.steps=5", "b.yaml", "name=x=y"]
    assert split_overrides(words) == (["a.yaml", "b.yaml"], ["seed=1", "stages.joint.steps=5", "name=x=y"])
    for wrong in ("--seed", "-s"):
        with pytest.raises(typer.BadParameter, match="no value"):
            split_overrides(["a.yaml", wrong])


def test_a_run_ends_in_a_codec_that_encodes(run, folder: Path):
    (folder / "short.yaml").write_text("stages: {joint: {steps: 2}}\n")
    ended = run("train", "tiny.yaml", "short.yaml", "--seed=3", "name=mine")
    assert ended.status == 0
    assert ended.out.splitlines()[-1] == "run folder: runs/mine"
    assert "seed: 3" in (folder / "runs/mine/config.yaml").read_text()
    assert run("encode", "faces/31.png", "--model", "runs/mine", "-o", "face.hsc").status == 0
    assert run("decode", "face.hsc", "--model", "runs/mine", "-o", "face.png").status == 0


def test_several_sets_train_one_codec_whose_card_names_them(run, folder: Path):
    """The second set has the same file names as the first and pictures of another size; only the first is validated."""
    write_pictures(folder / "more", 5, 24, seed=1)
    words = ["tiny.yaml", "defaults.data.path=[faces, more]", "stages.joint.steps=2"]
    assert run("train", *words).status == 0
    card = hsc.load("runs/tiny").card
    assert card["trained_on"] == {"faces": 24, "more": 5}
    assert (card["data"], card["validation"]) == ("faces", "24-31")
    again = run("train", *words)
    assert "joint: done already" in again.out
    run("train", *words, "defaults.data.path=faces")
    assert hsc.load("runs/tiny").card["trained_on"] == {"faces": 24}
    assert (folder / "runs/tiny/joint.old1").is_dir()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.yaml"], "nowhere.yaml"),
        (["tiny.yaml", "sead=1"], "seed"),
        (["tiny.yaml", "--stages.joint.steps=many"], "stages.joint.steps"),
        (["tiny.yaml", "defaults.data.path=nowhere.zip"], "nowhere.zip"),
        (["tiny.yaml", "defaults.data.path=[faces, nowhere.zip]"], "nowhere.zip"),
        (["tiny.yaml", "defaults.data.path=[faces, ./faces]"], "faces is given twice"),
        (["tiny.yaml", "defaults.data.path=[]"], "defaults.data.path: must be a folder, a zip, or a list of these"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(run, folder: Path, words: list[str], said: str):
    run("train", *words).assert_refused(said)
