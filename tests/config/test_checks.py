"""Fields that contradict each other, and fields that have no effect in a stage."""

from pathlib import Path

import pytest

from hsc import config
from hsc.errors import HscError

LOSSES = {layer: {"l2": 1} for layer in ("basic", "middle", "enhanced")}
EXPERIMENT = {
    "name": "test",
    "defaults": {"data": {"path": "faces.zip"}, "losses": LOSSES},
    "stages": {
        "prior": {"module": "prior", "train": ["generator", "mapping", "discriminator"]},
        "inversion": {"quantise": "none", "train": ["encoder", "heads"]},
        "basic": {"layers": ["basic"]},
        "joint": {},
    },
    "run": ["prior", "inversion", "basic", "joint"],
}


def assert_refused(experiment: Path, words: list[str], *messages: str) -> None:
    """The last word is refused, and the error names its key."""
    with pytest.raises(HscError) as caught:
        config.load([experiment], words)
    key, _, said = str(caught.value).removeprefix("config: ").partition(": ")
    assert words[-1].startswith(f"{key}=")
    assert all(message in said for message in messages), said


LEARNS = "stages.joint.train=[heads,discriminator]"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["stages.joint.adversarial.weight=1"], "the stage has no discriminator"),
        (["stages.basic.adversarial.r1_gamma=1"], "the stage has no discriminator"),
        ([LEARNS, "stages.joint.adversarial.path_weight=1"], "only prior stages sample random faces"),
        ([LEARNS, "stages.joint.lr_scale.discriminator=0.1"], "the discriminator's rate is adversarial.learning_rate"),
        (["stages.joint.lr_scale.generator=0.1"], "the stage does not train generator"),
        (["stages.prior.round_after=0.5"], "only codec stages with quantise: noise"),
        (["stages.joint.quantise=round", "stages.joint.round_after=0.5"], "only codec stages with quantise: noise"),
        (["stages.inversion.prefixes=all"], "a stage without quantisation"),
        (["stages.prior.quantise=noise"], "only codec stages quantise"),
        (["stages.prior.losses.enhanced.l2=2"], "a prior stage is trained by its discr"),
        (
            ["stages.prior.adversarial.discriminator=projected", "stages.prior.adversarial.r1_gamma=1"],
            "only the stylegan2 discriminator has it",
        ),
        (["stages.basic.losses.middle.l2=2"], "only losses and layer_weights of basic count in this stage"),
        (["stages.inversion.layer_weights.basic=2"], "only losses and layer_weights of enhanced count in this stage"),
    ],
)
def test_fields_that_a_stage_ignores_are_refused(experiment: Path, words: list[str], message: str) -> None:
    assert_refused(experiment, words, message, "remove it")


@pytest.mark.parametrize(
    "word",
    ["adversarial.weight=0.5", "lr_scale.generator=0.1", "round_after=0.5", "prefixes=all"],
)
def test_defaults_are_for_the_stages_that_use_them(experiment: Path, tmp_path: Path, word: str) -> None:
    loaded = config.load([experiment], [f"defaults.{word}"])
    resolved = tmp_path / "resolved.yaml"  # it repeats the defaults in every stage
    resolved.write_text(config.to_yaml(loaded))
    assert config.load([resolved]) == loaded


SMALL = ["model.layers.middle.rows=2", *(f"model.{net}.channels=[8, 8, 8, 8]" for net in ("generator", "encoder"))]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["stages.prior.adversarial.path_weight=2", "stages.prior.compile=true"], "path lengths"),
        (
            [*SMALL, "stages.prior.adversarial.discriminator=projected"],
            "projected needs images of 64² or more, not 32²",
        ),
        (
            [*SMALL, LEARNS, "stages.joint.adversarial.discriminator=projected"],
            "projected needs images of 64² or more, not 32²",
        ),
        (["stages.joint.train=[discriminator]"], "contains only the discriminator"),
        (["stages.prior.train=[encoder,generator]"], "a 'prior' stage has no part 'encoder'"),
        (["stages.prior.adversarial.weight=0"], "must be above 0"),
        (["devices=4", "defaults.batch_size=30"], "30 is not a multiple of devices=4"),
        (["devices=4", "stages.joint.batch_size=30"], "30 is not a multiple"),
        (
            ["devices=2", "stages.joint.accumulate=3", "stages.joint.batch_size=32"],
            "32 is not a multiple of devices=2 × ac",
        ),
        (["defaults.data.path=???"], "must be given"),
        (["name=???"], "must be given"),
        (["name=.."], "must be the name of a folder"),
        (["model.linear_path=32"], "needs generator.architecture: mobilestylegan; or leave it 0"),
        (["model.entropy.heads=5"], "5 does not divide width 96"),
        (["model.encoder.channels=[8,8]"], "2 widths, but the generator has 5 resolutions"),
    ],
)
def test_fields_that_do_not_fit_each_other_are_refused(experiment: Path, words: list[str], message: str) -> None:
    assert_refused(experiment, words, message)


def test_a_new_layer_must_say_how_many_rows_it_has(experiment: Path) -> None:
    with pytest.raises(HscError, match=r"model\.layers\.more\.rows: must be given"):
        config.load([experiment], ["model.layers.more.dim=4"])


@pytest.mark.parametrize(
    ("stage", "words", "adversarial"),
    [
        ("prior", [], True),
        ("joint", [], False),
        ("joint", ["defaults.adversarial.weight=0.5"], False),
        ("joint", ["stages.joint.train=[heads,discriminator]"], True),
        ("inversion", ["stages.inversion.train=[encoder,heads,discriminator]"], True),
    ],
)
def test_which_stages_learn_against_a_discriminator(
    experiment: Path, stage: str, words: list[str], adversarial: bool
) -> None:
    assert config.load([experiment], words).stages[stage].is_adversarial == adversarial
