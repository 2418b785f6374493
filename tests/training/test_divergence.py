"""Training that diverges stops, says which setting to lower, and never saves non-finite values."""

import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from hsc.errors import HscError
from hsc.modules.codec import CodecModule
from hsc.training import train

WORDS = ["run=[basic]", "stages.basic.steps=8", "stages.basic.init=fresh", "defaults.validate_every=100"]


def spoil(patch: pytest.MonkeyPatch, step: int, number: int | None = None) -> None:
    """Make the objective NaN in this step, counted from 1; with `number`, send that signal in the next step."""
    original = CodecModule.training_step

    def training_step(module: CodecModule, batch: Any, index: int) -> torch.Tensor:
        if number is not None and module.step == step:
            os.kill(os.getpid(), number)
        if module.step == step - 1:
            batch = batch | {"image": batch["image"] * math.nan}
        return original(module, batch, index)

    patch.setattr(CodecModule, "training_step", training_step)


def saved(stage: Path) -> dict[str, torch.Tensor]:
    return torch.load(stage / "last.ckpt", weights_only=True)["state_dict"]


@pytest.mark.parametrize(("log_every", "save_every", "kept"), [(2, 3, 3), (100, 2, 4)])
def test_it_ends_within_a_window_and_keeps_the_last_finite_checkpoint(
    experiment, monkeypatch: pytest.MonkeyPatch, log_every: int, save_every: int, kept: int
):
    words = [*WORDS, f"defaults.log_every={log_every}", f"defaults.save_every={save_every}"]
    stage = experiment.folder() / "basic"
    with monkeypatch.context() as patch:
        spoil(patch, 5)
        with pytest.raises(HscError, match=r"^basic: the objective is NaN since step 5: lower learning_rate \("):
            train([experiment.file], words)
    held = saved(stage)
    assert int(held["batches_seen"]) == kept
    assert all(value.isfinite().all() for value in held.values())
    train([experiment.file], words)  # resumes from there
    assert len(list(stage.glob("log/version_*"))) == 2
    assert (stage / "done.json").exists()


def test_a_signal_saves_nothing_that_is_not_finite(experiment, monkeypatch: pytest.MonkeyPatch):
    spoil(monkeypatch, 3, signal.SIGTERM)
    with pytest.raises(HscError, match=r"NaN since step 3.*no checkpoint was saved before"):
        train([experiment.file], [*WORDS, "defaults.log_every=100", "defaults.save_every=100"])
    assert not list(experiment.folder().glob("basic/*.ckpt"))


def test_a_weight_that_is_not_finite_counts_too(experiment, monkeypatch: pytest.MonkeyPatch):
    """Even if the objective does not depend on it."""

    def spoilt(module: CodecModule) -> None:
        with torch.no_grad():
            next(module.decoder.generator.mapping_network.parameters()).fill_(math.inf)

    monkeypatch.setattr(CodecModule, "on_train_start", spoilt, raising=False)
    with pytest.raises(HscError, match="a weight is infinite after step 2: lower learning_rate"):
        train([experiment.file], [*WORDS, "defaults.log_every=2", "defaults.save_every=100"])
