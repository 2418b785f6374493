"""docs/extending.md is run as it stands."""

import re
import sys
from pathlib import Path

import pytest
import torch

from hsc.judges import load_judge
from hsc.losses import load_losses

PAGE = Path(__file__).resolve().parent.parent / "docs" / "extending.md"


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's Python blocks as the files they say they are, on the path."""
    for name, code in re.findall(r"```python\n# (\w+)\.py\n(.*?)```", PAGE.read_text(), re.DOTALL):
        (tmp_path / f"{name}.py").write_text(code)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("modules")
def test_the_pages_loss_is_found_by_name_and_differentiable() -> None:
    loss = load_losses(["my_tasks:EdgeLoss"])["my_tasks:EdgeLoss"]
    original = torch.rand(2, 3, 16, 16) * 2 - 1
    image = (original + 0.1 * torch.randn_like(original)).requires_grad_()
    assert torch.equal(loss(original, original), torch.zeros(2))
    loss(image, original).sum().backward()
    assert image.grad is not None
    assert image.grad.abs().sum() > 0


@pytest.mark.usefixtures("modules")
def test_the_pages_judge_is_found_by_name() -> None:
    judge = load_judge("my_judges:Brightness")
    original = torch.zeros(2, 3, 16, 16)
    assert judge(original, original + 0.25).tolist() == pytest.approx([0.25, 0.25])
