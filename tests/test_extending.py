"""The code and YAML in docs/extending.md run as printed."""

import csv
import json
import math
import re
import sys
from pathlib import Path

import pytest
import torch
import wandb
import yaml
from pictures import write_pictures
from programs import run_hsc
from tiny_model import EXPERIMENT
from wandb_run import read_wandb_run

from hsc.config.loading import merged
from hsc.evaluation.compare import read_curves
from hsc.judges import NotAvailable, load_judge
from hsc.losses import load_losses

TRAINED = {
    "defaults": {
        "data": {"train": "0-5", "validation": "6-7"},
        "prefixes": "all",
        "batch_size": 3,
        "log_every": 1,
    },
    "stages": {"joint": {"steps": 2}},
    "run": ["joint"],
}
PAGE = Path(__file__).resolve().parent.parent / "docs" / "extending.md"


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's Python blocks as importable files under the names they give."""
    for name, code in re.findall(r"```python\n# (\w+)\.py\n(.*?)```", PAGE.read_text(), re.DOTALL):
        (tmp_path / f"{name}.py").write_text(code)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("modules")
def test_the_pages_attribute_is_found_by_name_and_differentiable() -> None:
    loss = load_losses(["my_attributes:SmileLoss"])["my_attributes:SmileLoss"]
    coarse = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(0)) * 2 - 1
    original = torch.nn.functional.interpolate(coarse, size=(48, 48), mode="bilinear")
    image = (original + 0.1 * torch.randn(original.shape, generator=torch.Generator().manual_seed(1))).requires_grad_()
    torch.testing.assert_close(loss(original, original), torch.zeros(2))
    assert torch.equal(loss(original, original, load_judge("facemesh")(original)), loss(original, original))
    distances = loss(image, original)
    distances.sum().backward()
    assert image.grad is not None
    assert image.grad.isfinite().all()
    assert image.grad.abs().sum() > 0
    assert (distances > 0).all()


def train(folder: Path, monkeypatch: pytest.MonkeyPatch, block: str, *words: str) -> None:
    """Train a tiny experiment in `folder` with the page's YAML that begins with the key `block`, by command line."""
    (added,) = re.findall(rf"```yaml\n({block}:.*?)```", PAGE.read_text(), re.DOTALL)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(merged(EXPERIMENT, TRAINED)))
    (folder / "added.yaml").write_text(added.replace("lpips.vgg, ", ""))
    write_pictures(folder / "faces", 8, 32, squares=4, digits=1)
    monkeypatch.chdir(folder)
    assert run_hsc("train", "tiny.yaml", "added.yaml", *words) == 0


@pytest.mark.usefixtures("modules")
def test_the_pages_attribute_is_learnt_and_reported_in_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's YAML beside a tiny experiment, through the command line."""
    try:
        load_judge("dlib68")
    except NotAvailable as reason:
        pytest.skip(str(reason))
    monkeypatch.setenv("HSC_CACHE", str(tmp_path / "cache"))
    train(tmp_path, monkeypatch, "defaults")
    (log,) = tmp_path.glob("runs/tiny/joint/log/*/metrics.csv")
    with open(log) as file:
        rows = list(csv.DictReader(file))
    for name in ("train/basic/my_attributes:SmileLoss", "val/basic/my_attributes:SmileChange"):
        assert any(math.isfinite(float(row[name])) for row in rows if row.get(name)), name
    basic = read_curves(tmp_path / "runs" / "tiny")[0]
    assert basic.info("smile").title == "smile ↓"
    assert math.isfinite(basic.values["smile"][0])


@pytest.mark.usefixtures("modules")
def test_the_pages_judge_is_found_by_name() -> None:
    judge = load_judge("my_judges:Brightness")
    original = torch.zeros(2, 3, 16, 16)
    assert judge(original, original + 0.25).tolist() == pytest.approx([0.25, 0.25])


@pytest.mark.slow
@pytest.mark.usefixtures("modules")
def test_the_pages_judge_is_in_an_offline_wandb_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(tmp_path, monkeypatch, "judges", "logging.wandb=offline")
    wandb.teardown()  # its settings outlive a run and would affect other tests
    run = read_wandb_run(tmp_path / "runs")
    logged = {name for row in run.history for name in row}
    for layer in ("basic", "middle", "enhanced"):
        name = f"val/{layer}/my_judges:Brightness"
        assert math.isfinite(run.summary[name])
        assert run.axes[name] == "samples_seen"
        assert name in logged
    assert run.config["judge_of_my_judges:Brightness"] == "brightness"
    panel = run.config["_wandb/visualize/val/rate_distortion/my_judges:Brightness"]["panel_config"]
    assert panel["stringSettings"]["title"] == "brightness over bits per pixel"
    (table,) = tmp_path.glob("runs/tiny/wandb/offline-run-*/files/media/table/val/per_image_*.json")
    assert "my_judges:Brightness" in json.loads(table.read_text())["columns"]
