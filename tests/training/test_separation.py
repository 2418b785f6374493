"""A judge that trains, its teacher and its students are refused as reporters."""

from pathlib import Path

import pytest

from hsc.config import load
from hsc.errors import HscError
from hsc.training.separation import check_reporters

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
        ("judges.landmarks=facemesh", r"judges\.landmarks: 'facemesh' .* trains 'landmarks'"),
        ("judges.identity=identity_student", r"judges\.identity: 'identity_student' .* trains 'identity'"),
    ],
)
def test_who_trains_does_not_report(file: Path, override: str, said: str) -> None:
    with pytest.raises(HscError, match=said):
        check_reporters(load([file], [override]))


def test_a_family_counts_as_one(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file.parent / "big_teacher.py").write_text(
        "from hsc.judges import Judge\n\n\n"
        "class Teacher(Judge):\n    name, family, kind = 'big', 'faceres', 'recogniser'\n"
    )
    monkeypatch.syspath_prepend(file.parent)
    with pytest.raises(HscError, match=r"family \(faceres\)"):
        check_reporters(load([file], ["judges.identity=big_teacher:Teacher"]))


@pytest.mark.parametrize("override", ["judges.identity=none", "judges.identity=dlib", "judges.landmarks=none"])
def test_others_report(file: Path, override: str) -> None:
    check_reporters(load([file], [override]))
