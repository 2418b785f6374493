"""The identity of a stage: everything that determines its weights, and nothing else."""

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from hsc import judges
from hsc.config import load
from hsc.errors import HscError
from hsc.losses import Loss
from hsc.training import train
from hsc.training.stage import data_module, stage_identity
from hsc.training.stage_identity import StageIdentity


class OwnLoss(Loss):
    """A user's own term."""

    name = "own"

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(2.0))

    def forward(self, image, original, landmarks=None):
        return (image - original).abs().mean((1, 2, 3)) * self.scale


@pytest.fixture
def identity_of(experiment) -> Callable[..., StageIdentity]:
    def identity(*words: str, stage: str = "joint") -> StageIdentity:
        config = load([experiment.file], words)
        return stage_identity(config, stage, "start", data_module(config, stage))

    return identity


@pytest.mark.parametrize(
    "words",
    [
        ["defaults.log_every=5", "defaults.save_every=3", "defaults.data.workers=1", "defaults.data.skip_broken=true"],
        ["defaults.validate_every=2", "defaults.data.validation_limit=1", "defaults.data.validation=16-17"],
        ["name=other", "title=other", "runs=elsewhere", "judges.perceptual=[]", "defaults.monitor=val/basic/psnr"],
        ["stages.joint.init=stage:basic", "stages.prior.adversarial.r1_gamma=1", "stages.basic.learning_rate=1"],
        ["stages.joint.train=[generator,heads,entropy,gain,encoder]", "stages.joint.layers=[basic,middle,enhanced]"],
        ["stages.joint.losses.basic.faceres=0", "stages.joint.layer_weights.basic=1", "stages.joint.lr_scale.gain=1"],
        ["device=cpu", "stages.joint.precision=32-true"],
    ],
)
def test_what_decides_no_weight_is_no_part_of_it(identity_of, words: list[str]):
    assert identity_of("device=auto", *words).key == identity_of().key


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        (["seed=1"], "seed (0 → 1)"),
        (["stages.joint.losses.basic.l2=2"], "losses.basic.l2 (1 → 2)"),
        (["stages.joint.batch_size=8"], "batch_size (4 → 8)"),
        (["stages.joint.accumulate=2"], "accumulate (1 → 2)"),
        (["devices=2"], "devices (1 → 2)"),
        (["defaults.data.flips=false"], "flips (True → False)"),
        (["defaults.data.train=00-14"], "the training images"),
        (["defaults.precision=bf16-mixed"], "precision (32-true → bf16-mixed)"),
        (["model.lambdas=[0.2, 0.01]"], "model.lambdas ([0.1, 0.01] → [0.2, 0.01])"),
        (["stages.joint.patience=3"], "best"),
    ],
)
def test_what_decides_weights_is_named(identity_of, words: list[str], changed: str):
    before, now = identity_of(), identity_of(*words)
    assert now.key != before.key
    assert changed in now.changes_from(before)


def test_validation_counts_where_it_chooses_the_weights(identity_of):
    patient = "stages.joint.patience=3"
    for word in ("defaults.validate_every=2", "defaults.data.validation=16-17", "defaults.monitor=val/basic/psnr"):
        assert identity_of(patient, word).key != identity_of(patient).key


def test_a_prior_is_not_trained_again_for_what_only_codecs_use(identity_of):
    words = ["model.entropy.depth=2", "model.lambdas=[1, 0.5]", "model.heads_hidden=8", "model.layers.basic.dim=4"]
    words += ["defaults.prefixes=all", "defaults.losses.enhanced.l2=3"]
    assert identity_of(*words, stage="prior").key == identity_of(stage="prior").key


def test_an_inversion_is_trained_again_for_another_code(identity_of):
    """The next stage starts from its gains and its entropy model, although it has not trained them."""
    words = ("stages.basic={quantise: none, train: [encoder, heads]}", "stages.basic.layers=[]")
    for word in ("model.lambdas=[1, 0.5]", "model.entropy.depth=2"):
        assert identity_of(*words, word, stage="basic").key != identity_of(*words, stage="basic").key


def test_a_codec_stage_is_known_by_the_discriminator_that_it_trains(identity_of):
    train = "stages.joint.train=[heads,discriminator]"
    before = identity_of(train)
    assert "adversarial.weight (1 → 0.5)" in identity_of(train, "defaults.adversarial.weight=0.5").changes_from(before)
    assert identity_of(train, "defaults.adversarial.path_weight=2").key == before.key, "which only priors use"
    assert identity_of("defaults.adversarial.weight=0.5").key == identity_of().key, "where it trains none"


def test_pictures_count_and_not_where_they_lie(identity_of, faces: Path, tmp_path: Path):
    folder = tmp_path / "people"
    with zipfile.ZipFile(faces) as archive:
        archive.extractall(folder)
    path = f"defaults.data.path={folder}"
    assert identity_of(path).key == identity_of().key
    shutil.copy(folder / "00.png", folder / "01.png")
    assert identity_of(path).key != identity_of().key


def test_a_loss_is_known_by_its_weights(identity_of, monkeypatch: pytest.MonkeyPatch):
    words = [f"stages.joint.losses.basic={{'{__name__}:OwnLoss': 1}}"]
    before = identity_of(*words)

    def other(loss: Loss) -> None:
        Loss.__init__(loss)
        loss.register_buffer("scale", torch.tensor(3.0))

    monkeypatch.setattr(OwnLoss, "__init__", other)
    assert identity_of(*words).changes_from(before) == f"the weights of the loss {__name__}:OwnLoss"


def test_another_torch_and_another_code(identity_of, monkeypatch: pytest.MonkeyPatch):
    """With edited code, other runs do not reuse the stage, but its own run still does."""
    before = identity_of()
    monkeypatch.setattr("hsc.training.stage_identity.code_hash", lambda: "edited")
    assert identity_of().key == before.key
    assert identity_of().shared_key != before.shared_key
    monkeypatch.setattr(torch, "__version__", "1.0")
    assert "torch (" in identity_of().changes_from(before)


def test_runs_from_when_layers_could_have_a_grid_know_their_stages(identity_of):
    assert identity_of().model["layers"]["basic"] == {"rows": 3, "dim": 8, "grid": 0}


def test_it_is_kept_as_json(identity_of):
    identity = identity_of("stages.joint.patience=2")
    again = StageIdentity.from_json(json.loads(json.dumps(asdict(identity))))
    assert again == identity
    assert again.key == identity.key
    assert StageIdentity.from_json({"of": "another version"}) is None
    assert StageIdentity.from_json(None) is None


@pytest.mark.usefixtures("cache")
def test_a_missing_loss_is_an_error_that_names_the_command(experiment):
    judges._load.cache_clear()  # other tests may have loaded it
    words = ["stages.joint.losses.enhanced.faceres=1"]
    with pytest.raises(HscError, match=r"stages\.joint\.losses: faceres not available.*`hsc weights fetch faceres`"):
        train([experiment.file], words)
    assert not experiment.runs.exists()


def test_a_stage_without_a_missing_loss_is_not_the_stage_with_it(identity_of, monkeypatch: pytest.MonkeyPatch):
    term = f"{__name__}:OwnLoss"
    words = ["allow_missing_losses=true", f"stages.joint.losses.basic={{l2: 1, '{term}': 1}}"]
    whole = identity_of(*words)
    monkeypatch.setattr("hsc.training.stage.missing_losses", lambda *_: {term: "not available"})
    assert whole.changes_from(identity_of(*words)) == f"losses.basic.{term} (none → 1), the weights of the loss {term}"


@pytest.mark.slow
def test_settings_that_do_not_count_change_no_bit(experiment, uninterrupted, train_in_process: Callable[..., int]):
    """Accumulation, which does count, changes them."""
    experiment.take(uninterrupted, "prior", "basic")
    words = ["defaults.log_every=5", "defaults.save_every=1", "defaults.validate_every=2", "judges.perceptual=[]"]
    words += ["defaults.data.validation_limit=1", "defaults.data.workers=1"]
    assert train_in_process(experiment, *words, uncached=True) == 0
    expected = uninterrupted.weights("joint")
    assert all(torch.equal(value, expected[name]) for name, value in experiment.weights("joint").items())
    assert train_in_process(experiment, "stages.joint.accumulate=2") == 0
    other = experiment.weights("joint")
    assert not all(torch.equal(value, expected[name]) for name, value in other.items())
    assert all(torch.allclose(value, expected[name], rtol=0.1, atol=0.02) for name, value in other.items())


@pytest.mark.slow
def test_more_steps_go_on_where_the_rate_stays(
    experiment, train_in_process: Callable[..., int], said_in_training: Callable[..., str]
):
    """The result is bit for bit that of as many steps from the start; otherwise one line says why it starts over."""
    alone = ["run=[basic]", "stages.basic.init=fresh"]
    steady = [*alone, "stages.basic.final_rate=1"]
    assert train_in_process(experiment, *steady, "stages.basic.steps=7", "name=whole") == 0
    assert train_in_process(experiment, *steady, "stages.basic.steps=3") == 0
    shutil.rmtree(experiment.runs / ".stages")
    said = said_in_training(experiment, *steady, "stages.basic.steps=7")
    folder = experiment.folder() / "basic"
    assert f"basic: resuming from {folder / 'last.ckpt'} after 3 of 7 steps" in said
    whole, made = experiment.weights("basic", "whole"), experiment.weights("basic")
    assert all(torch.equal(value, whole[name]) for name, value in made.items())
    assert experiment.done("basic")["samples_seen"] == 28
    assert (folder.with_name("basic.old1") / "done.json").exists()
    assert train_in_process(experiment, *alone, "stages.basic.steps=3") == 0
    line = "basic: steps (3 → 4) changed, so it starts over: its learning rate has decayed"
    assert line in said_in_training(experiment, *alone, "stages.basic.steps=4")
