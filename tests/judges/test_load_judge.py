"""Judges by name, and users' own."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hsc.errors import HscError
from hsc.judges import judge_names, load_judge

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
    (tmp_path / "my_judges.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    judge = load_judge("my_judges:Brightness")
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


def test_names_are_those_of_the_metrics() -> None:
    assert {"lpips.alex", "lpips.vgg", "dists", "dlib", "dlib68", "facemesh", "vgg16", "inception"} <= set(
        judge_names()
    )


def test_importing_judges_and_losses_is_light() -> None:
    heavy = "wandb pytorch_lightning torchmetrics torchvision lpips dlib insightface onnxruntime matplotlib"
    code = f"import sys, hsc.judges, hsc.losses; print([name for name in {heavy.split()} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
