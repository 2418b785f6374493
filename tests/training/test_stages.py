"""The stages of an experiment: the files they leave, when they run again, where they start."""

import json
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from tiny_model import LAYERS, ROWS, SIZE

import hsc
from hsc.checkpoints import weights_file
from hsc.errors import HscError
from hsc.training import train

STAGE_FILES = {"key.json", "done.json", "weights.safetensors", "last.ckpt", "log", "provenance", "samples"}
MEASURES = ("psnr", "bytes", "bpp", "bpp_estimated", "bpp_layer", "zero_symbols")


@pytest.fixture
def copy(experiment, uninterrupted):
    """The experiment as the uninterrupted run left it, to be changed."""
    shutil.copytree(uninterrupted.runs, experiment.runs)
    return experiment


@pytest.fixture
def lines_of(said_in_training: Callable[..., str]) -> Callable[..., list[str]]:
    """`lines_of(experiment, "key=value", …)` trains and returns the printed lines, except for progress."""
    return lambda *words: [line for line in said_in_training(*words).splitlines() if " | " not in line]


@pytest.mark.slow
def test_what_a_run_leaves(uninterrupted):
    folder = uninterrupted.folder()
    assert {path.name for path in folder.iterdir()} == {
        ".lock", "config.yaml", "done.json", "prior", "basic", "joint", "prior.safetensors", "codec.safetensors"
    }  # fmt: skip
    assert {path.name for path in (folder / "joint").iterdir()} == STAGE_FILES
    assert {path.name for path in (folder / "prior").iterdir()} == STAGE_FILES - {"samples"} | {"generated"}
    assert json.loads((folder / "joint/provenance/provenance.json").read_text())["hsc"] == hsc.__version__
    assert (folder / "joint/provenance/config.yaml").read_text() == (folder / "config.yaml").read_text()
    # Samples are counted over all stages: 5 + 3 batches of four before, then 6 with a validation after every third.
    assert sorted(path.stem for path in (folder / "joint/samples").iterdir()) == ["0000000044", "0000000056"]
    width, height = Image.open(folder / "joint/samples/0000000056.png").size
    assert (width, height // 40) == (4 * 40, 4)  # original and three layers; four faces
    done = uninterrupted.done("joint")
    assert done["samples_seen"] == 4 * (5 + 3 + 6)
    assert {f"val/{layer}/{measure}" for layer in LAYERS for measure in MEASURES} <= done["metrics"].keys()


@pytest.mark.slow
def test_the_csv_holds_every_promised_name(uninterrupted):
    rows = uninterrupted.rows("joint")
    names = set().union(*rows)
    assert {f"val/{layer}/{measure}" for layer in LAYERS for measure in MEASURES} <= names
    assert {f"val/row_bits/{row:02d}" for row in range(sum(ROWS))} <= names
    assert {f"train/{layer}/{term}" for layer in LAYERS for term in ("l2", "bpp_estimated")} <= names
    assert {"train/objective", "train/learning_rate", "train/zero_symbols", "samples_seen"} <= names
    seen = {measure: [row["samples_seen"] for row in rows if measure in row] for measure in names}
    assert seen["train/objective"] == [36, 40, 44, 48, 52, 56]
    assert seen["val/basic/bpp"] == [44, 56]
    prior = set().union(*uninterrupted.rows("prior"))
    terms = ("generator", "discriminator", "real", "fake", "sign", "augmentation", "r1")
    assert {f"train/adversarial/{term}" for term in terms} <= prior
    assert not any(layer in name for name in prior for layer in LAYERS)


@pytest.mark.slow
def test_a_stage_is_validated_at_its_end_even_between_two_intervals(uninterrupted):
    """The prior is validated after the third of its five steps, and also after the fifth."""
    assert sorted(path.stem for path in (uninterrupted.folder() / "prior/generated").iterdir()) == [
        "0000000012", "0000000020"
    ]  # fmt: skip


@pytest.mark.slow
def test_the_released_codec_is_the_last_stage(uninterrupted):
    folder = uninterrupted.folder()
    codec = hsc.load(folder)
    assert (codec.name, codec.size, codec.layers) == ("tiny", SIZE, LAYERS)
    stage = uninterrupted.weights("joint")
    torch.testing.assert_close(
        codec.networks.encoder.stem.weight, stage["encoder.net.stem.weight"], rtol=1e-3, atol=1e-3
    )
    assert len(codec.card["bytes_per_face"]) == 2
    logged = json.loads((folder / "joint/done.json").read_text())["metrics"]
    measured = logged["val/enhanced/bpp"] * 40**2 / 8  # at the quality used in validation
    assert codec.card["bytes_per_face"][codec.default_quality] == pytest.approx(measured, abs=2)


@pytest.mark.slow
def test_running_again_trains_nothing(copy, lines_of: Callable[..., list[str]]):
    before = {path: path.read_bytes() for path in copy.folder().rglob("*.safetensors")}
    done = [f"{stage}: done already ({copy.folder() / stage})" for stage in ("prior", "basic", "joint")]
    assert lines_of(copy)[:3] == done
    assert {path: path.read_bytes() for path in copy.folder().rglob("*.safetensors")} == before


@pytest.mark.slow
def test_a_changed_stage_takes_the_place_of_the_earlier_one_when_it_is_finished(copy, train_in_process, lines_of):
    folder, before = copy.folder(), copy.weights("joint")
    changed = "stages.joint.learning_rate=0.003"
    assert train_in_process(copy, changed, kill=("joint.new", 4, signal.SIGKILL)) == -signal.SIGKILL
    assert copy.done("joint")["samples_seen"] == 56
    assert not (folder / "done.json").exists()
    lines = lines_of(copy, changed)
    aside = folder / "joint.old1"
    assert lines[:2] == [f"{stage}: done already ({folder / stage})" for stage in ("prior", "basic")]
    assert lines[2] == f"joint: resuming from {folder / 'joint.new/last.ckpt'} after 3 of 6 steps"
    assert f"joint: the earlier result is kept in {aside}" in lines[3:]
    assert {path.name for path in aside.iterdir()} == STAGE_FILES
    assert not (folder / "joint.new").exists()
    assert any(not torch.equal(value, before[name]) for name, value in copy.weights("joint").items())
    # The earlier result is used again without training.
    assert lines_of(copy)[2] == f"joint: done already ({folder / 'joint'}, which was kept in joint.old1)"
    assert all(torch.equal(value, before[name]) for name, value in copy.weights("joint").items())
    assert lines_of(copy)[2] == f"joint: done already ({folder / 'joint'})"


@pytest.mark.slow
def test_what_has_changed_is_named(copy, lines_of: Callable[..., list[str]]):
    words = ("defaults.data.train=00-14", "run=[prior]", "stages.prior.steps=1", "stages.prior.betas=[0, 0.99]")
    assert lines_of(copy, *words)[0].startswith(
        "prior: steps (5 → 1), betas ([0.9, 0.99] → [0.0, 0.99]), the training images changed; "
    )


@pytest.mark.slow
def test_a_crash_between_two_renames_loses_nothing(copy, lines_of: Callable[..., list[str]]):
    folder = copy.folder()
    shutil.copytree(folder / "joint", folder / "joint.new")
    (folder / "joint").rename(folder / "joint.old1")
    assert lines_of(copy)[2] == f"joint: done already ({folder / 'joint'})"
    assert not (folder / "joint.new").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "fresh"),
    [
        ("stage:prior", True),
        ("codec.safetensors", False),
        ("basic/weights.safetensors", False),
    ],
)
def test_where_a_stage_starts(copy, lines_of: Callable[..., list[str]], start: str, fresh: bool):
    """Parts missing from the starting weights are reported as new; frozen parts stay unchanged."""
    path = copy.folder() / start.replace("stage:prior", "prior/weights.safetensors")
    init = start if start.startswith("stage:") else path
    lines = lines_of(
        copy, f"stages.joint.init={init}", "stages.joint.train=[gain]", "stages.joint.steps=1", "run=[prior,joint]"
    )
    (line,) = (line for line in lines if line.startswith("joint: starting from"))
    assert line.endswith("; new: decoder.heads, encoder.net, entropy.net") == fresh
    assert ("new:" in line) == fresh
    held, made = weights_file.load(path).tensors, copy.weights("joint")
    const = "decoder.generator.synthesis_network.b4.const"
    assert torch.equal(made[const], held.get(const, held.get(const.removeprefix("decoder.generator."))).float())
    if not fresh:
        assert torch.equal(made["encoder.net.stem.weight"], held["encoder.net.stem.weight"].float())


@pytest.mark.slow
def test_an_inversion_leaves_weights_and_neither_prior_nor_codec(copy, lines_of: Callable[..., list[str]]):
    content = yaml.safe_load(copy.file.read_text())
    inversion = {"quantise": "none", "train": ["encoder", "heads"], "steps": 1}
    content |= {"name": "other", "stages": {"inversion": inversion}, "run": ["inversion"]}
    copy.file.write_text(yaml.safe_dump(content, sort_keys=False))
    lines = lines_of(copy, f"stages.inversion.init={copy.folder() / 'prior.safetensors'}")
    assert any(line.endswith(str(copy.folder("other") / "inversion" / "weights.safetensors")) for line in lines)
    assert not list(copy.folder("other").glob("*.safetensors"))


@pytest.mark.slow
def test_fresh_means_fresh(copy, lines_of: Callable[..., list[str]]):
    lines = lines_of(copy, "stages.joint.init=fresh", "stages.joint.steps=1", "run=[prior,joint]")
    assert not any("starting from" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("encoder.net.stem.weight", r"other.*stem\.weight is \(8, 3, 3, 3\) there and \(16, 3, 3, 3\) in this model"),
        ("unknown", "contains no weights that this model could start from"),
    ],
)
def test_weights_that_do_not_fit_are_named(experiment, tmp_path: Path, name: str, said: str):
    weights_file.save(tmp_path / "other.safetensors", {name: torch.zeros(8, 3, 3, 3)}, "stage", {})
    with pytest.raises(HscError, match=said):
        train([experiment.file], [f"stages.basic.init={tmp_path / 'other.safetensors'}", "run=[basic]"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("stages.joint.init=stage:later", "no stage 'later' runs before this one"),
        ("stages.joint.init=stage:joint", "no stage 'joint' runs before this one"),
        ("stages.joint.init=nowhere", "no weights 'nowhere'"),
        ("stages.joint.data.path=nowhere.zip", "nowhere.zip"),
        ("stages.joint.data.train=90-99", "90-99"),
        ("stages.joint.losses.basic={sharpness: 1}", "unknown loss 'sharpness'"),
        ("stages.joint.betas=[0.9]", "betas"),
        ("stages.basic.quantise=none", r"stages\.basic\.layers: a stage without quantisation"),
        ("stages.prior.layers=[basic]", r"stages\.prior\.layers: a stage without quantisation"),
    ],
)
def test_mistakes_in_the_last_stage_stop_the_run_before_the_first(
    experiment, override: str, message: str, monkeypatch: pytest.MonkeyPatch
):
    def too_late(*_, **__):
        raise AssertionError("trains although the run cannot end well")

    monkeypatch.setattr("hsc.training.run.run_stage", too_late)
    with pytest.raises(HscError, match=message):
        train([experiment.file], [override])


@pytest.mark.slow
def test_the_page_on_training_names_whatever_is_logged(uninterrupted):
    names = set().union(*(row for stage in ("prior", "basic", "joint") for row in uninterrupted.rows(stage)))
    patterns = documented_names()
    unknown = [name for name in names - {"epoch", "step"} if not any(re.fullmatch(known, name) for known in patterns)]
    assert not unknown
    never = [
        known
        for known in patterns
        if known.startswith("train/") and not any(re.fullmatch(known, name) for name in names)
    ]
    assert {name.rpartition("/")[2] for name in never} <= {"styles", "path_length"}  # logged only with certain settings


def documented_names() -> list[str]:
    """Regular expressions of the names in the table of docs/logged-names.md."""
    page = (Path(__file__).parents[2] / "docs" / "logged-names.md").read_text()
    cells = re.findall(r"^\| (`(?:train|val|samples).*?) \|", page, re.MULTILINE)
    written = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    stands_for = {"LAYER": f"(?:{'|'.join(LAYERS)})", "TASK": r"[\w.:]+", "ROW": r"\d\d", "NAME": r"\w+"}
    return [re.sub("LAYER|TASK|ROW|NAME", lambda word: stands_for[word[0]], re.escape(name)) for name in written]
