"""Loading judges by name, including users' own."""

from pathlib import Path

import pytest
import torch

from hsc.errors import HscError
from hsc.judges import families_in, load_judge

MINE = """
from hsc.judges import Judge

class Brightness(Judge):
    name = family = "brightness"
    kind = "recogniser"
    threshold = 0.1

    def forward(self, image):
        return image.mean((2, 3))
"""


def test_a_judge_is_made_once() -> None:
    assert load_judge("facemesh") is load_judge("facemesh", torch.device("cpu"))


def test_a_users_own_judge_is_named_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_judges.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    judge = load_judge("own_judges:Brightness")
    assert judge.kind == "recogniser"
    torch.testing.assert_close(judge(torch.full((2, 3, 4, 4), 0.5)), torch.full((2, 3), 0.5))


@pytest.mark.parametrize("name", ["lpips", "facenet", ""])
def test_an_unknown_judge_lists_those_there_are(name: str) -> None:
    with pytest.raises(HscError, match=r"there are psnr, ms_ssim, lpips\.alex"):
        load_judge(name)


@pytest.mark.parametrize("name", ["no_such_package:Judge", "hsc.judges:NoSuchClass"])
def test_a_path_that_leads_nowhere_is_an_error_of_one_sentence(name: str) -> None:
    with pytest.raises(HscError, match=f"cannot import the judge {name}"):
        load_judge(name)


INCOMPLETE = """
from torch import nn

from hsc.judges import Judge

class Nameless(Judge):
    kind = "perceptual"

class Needy(Judge):
    name = family = "needy"
    kind = "perceptual"

    def __init__(self, size):
        super().__init__()

class Other:
    name = family = kind = "other"
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Nameless", "its class lacks name and family"),
        ("Needy", "cannot make the judge incomplete_judges:Needy without arguments"),
        ("Other", "is not a hsc.judges.Judge"),
    ],
)
def test_what_a_users_judge_lacks_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    (tmp_path / "incomplete_judges.py").write_text(INCOMPLETE)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(HscError, match=said):
        load_judge(f"incomplete_judges:{name}")


def test_what_a_file_says_of_judges_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "psnr.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    card = {"judges": ["psnr:Own", "os:abort", "no such judge", "ms_ssim"], "judge_families": ["mine"]}
    assert families_in(card) == {"pixels", "mine"}
