"""Without any judge's weights, training runs if the settings allow it, and says what is missing."""

import csv
import warnings
from pathlib import Path

import pytest
from programs import run_hsc

from hsc import judges
from hsc.judges import NotAvailable, weights


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def nowhere(name: str) -> Path:
        raise NotAvailable(
            f"{', '.join(weights.TABLE[name].enables)} not available: {weights._remedy(weights.TABLE[name])}"
        )

    monkeypatch.setattr(weights, "locate", nowhere)
    monkeypatch.setenv("HSC_CACHE", str(tmp_path / "cache"))
    judges._load.cache_clear()
    yield
    judges._load.cache_clear()


@pytest.mark.usefixtures("no_weights")
def test_it_trains_and_says_what_is_missing(experiment, capfd: pytest.CaptureFixture) -> None:
    words = ["judges.identity=dlib", "judges.landmarks=dlib68", "judges.perceptual=[lpips.alex, lpips.vgg, psnr]"]
    words += ["run=[basic]", "stages.basic.steps=2", "stages.basic.init=fresh", "judges.distribution=vgg16"]
    words += ["defaults.losses.basic.lpips=1", "defaults.losses.basic.identity=1", "allow_missing_losses=true"]
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert run_hsc("train", experiment.file, *words) == 0
    said = " ".join(str(warning.message) for warning in warned) + capfd.readouterr().err
    assert "training without a loss: lpips.alex not available" in said
    for judge in ("dlib68", "lpips.alex", "lpips.vgg"):
        assert f"{judge} not available" in said or f"{judge}, " in said, judge
    assert "hsc weights fetch" in said
    (log,) = experiment.folder().glob("basic/log/*/metrics.csv")
    with open(log) as file:
        columns = set(next(csv.reader(file)))
    assert {"val/basic/psnr", "val/basic/bpp", "train/basic/identity"} <= columns
    assert not {"val/basic/lpips", "val/basic/identity_accuracy", "val/basic/landmark_nme"} & columns
