"""A judge used as a loss, its teacher and its students are refused as metrics."""

from pathlib import Path

import pytest

from hsc.config import load
from hsc.errors import HscError
from hsc.losses import load_losses
from hsc.training.judge_independence import check_judge_independence, check_reporters, trained_by
from hsc.training.stage import data_module

EXPERIMENT = """
name: x
defaults:
  data: {path: nowhere.zip}
  losses: {basic: {landmarks: 1}, middle: {identity: 1, l2: 1}, enhanced: {l2: 1}}
stages: {joint: {}}
run: [joint]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "x.yaml").write_text(EXPERIMENT)
    return tmp_path / "x.yaml"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("judges.landmarks=facemesh", r"judges\.landmarks: 'facemesh' .* loss 'landmarks'"),
        ("judges.identity=identity_student", r"judges\.identity: 'identity_student' .* loss 'identity'"),
    ],
)
def test_who_trains_does_not_report(file: Path, override: str, said: str) -> None:
    with pytest.raises(HscError, match=said):
        check_judge_independence(load([file], [override]))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("judges.identity=dlib68", r"judges\.identity: dlib68 is of kind landmarker; name one of kind recogniser"),
        ("judges.landmarks=insightface", r"judges\.landmarks: insightface is of kind recogniser"),
        ("judges.perceptual=[psnr,vgg16]", r"judges\.perceptual: vgg16 is of kind features"),
        ("judges.perceptual=[lpips]", r"judges\.perceptual: unknown judge 'lpips'"),
        (
            "judges.perceptual=['no_such_module:Judge']",
            r"judges\.perceptual: cannot import the judge no_such_module:Judge",
        ),
        (
            "judges.distribution=psnr",
            r"judges\.distribution: psnr is of kind perceptual; name one of kind features or recogniser",
        ),
    ],
)
def test_a_judge_reports_only_what_its_kind_can_tell(file: Path, override: str, said: str) -> None:
    with pytest.raises(HscError, match=f"config: {said}"):
        check_reporters(load([file], [override]))


def test_the_usual_judges_may_report(file: Path) -> None:
    check_reporters(load([file], ["judges.distribution=vgg16"]))


def test_a_family_counts_as_one(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file.parent / "big_teacher.py").write_text(
        "from hsc.judges import Judge\n\n\n"
        "class Teacher(Judge):\n    name, family, kind = 'big', 'faceres', 'recogniser'\n"
    )
    monkeypatch.syspath_prepend(file.parent)
    with pytest.raises(HscError, match=r"family \(faceres\)"):
        check_judge_independence(load([file], ["judges.identity=big_teacher:Teacher"]))


@pytest.mark.parametrize("override", ["judges.identity=none", "judges.identity=dlib", "judges.landmarks=none"])
def test_others_report(file: Path, override: str) -> None:
    check_judge_independence(load([file], [override]))


@pytest.mark.parametrize(
    "override",
    [
        "stages.joint.losses.basic.landmarks=0",
        "stages.joint.layer_weights.basic=0",
    ],
)
def test_what_weighs_nothing_trains_nothing(file: Path, override: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a loss of weight 0, no judge is loaded, no landmarks are detected, and its judge may be a metric."""
    config = load([file], [override, "judges.landmarks=facemesh", "stages.joint.losses.middle.identity=0"])
    monkeypatch.setattr("hsc.losses.distortion.load_judge", lambda name, *_: pytest.fail(f"{name} was loaded"))
    check_judge_independence(config)
    assert trained_by(config) == {"judges": [], "judge_families": []}
    assert data_module(config, "joint").landmarker is None
    assert load_losses(config.task_names(["joint"])).keys() == {"l2"}


def test_layers_that_a_stage_does_not_train_need_no_judge(file: Path) -> None:
    config = load([file], ["stages.joint.layers=[basic]", "judges.identity=identity_student", "judges.landmarks=none"])
    check_judge_independence(config)
    assert trained_by(config) == {"judges": ["facemesh"], "judge_families": ["facemesh"]}
