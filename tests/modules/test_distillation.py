"""Distillation keeps a codec near what it started from, and leaves no trace in its checkpoints."""

from collections.abc import Callable

import pytest
import torch
from tiny_model import LAYERS, SIZE, tiny_config

from hsc.losses import load_losses
from hsc.modules.codec import CodecModule, Teacher

FACES = torch.rand(8, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(9)) * 2 - 1
QUALITY = torch.tensor([0, 1] * 4)


def pupil(**stage) -> CodecModule:
    torch.manual_seed(0)
    config = tiny_config(train=["encoder", "gain", "entropy", "heads", "generator"], log_every=1, **stage)
    return CodecModule(config, config.stages["only"], load_losses(["l2"]))


def with_teacher(**stage) -> CodecModule:
    module = pupil(**stage)
    module.teacher = Teacher(pupil(**stage))  # the same weights
    return module


def shown(module: CodecModule) -> torch.Tensor:
    everything = [torch.arange(8)] * len(LAYERS)
    return torch.cat(list(Teacher(module).decode(FACES, QUALITY, LAYERS, everything)))


def test_nothing_is_lost_at_the_start(fit: Callable):
    module = with_teacher(distillation=5.0, quantise="round", prefixes="all")
    before = set(module.state_dict())
    fit(module)
    logged = module.trainer.callback_metrics
    assert all(float(logged[f"train/{layer}/distillation"]) < 1e-9 for layer in LAYERS)
    assert before == set(module.state_dict()) == set(pupil().state_dict())


@pytest.mark.parametrize("prefixes", ["all", "sample"])
def test_the_more_it_weighs_the_less_is_forgotten(fit: Callable, prefixes: str):
    start, drift = shown(pupil()), []
    for weight in (0.0, 1e5):
        module = with_teacher(distillation=weight, prefixes=prefixes, learning_rate=3e-4)
        fit(module, batches=12)
        drift.append(float((shown(module) - start).square().mean()))
    assert drift[1] < 0.5 * drift[0]


def test_the_teacher_stays_as_it_was(fit: Callable):
    module = with_teacher(distillation=5.0)
    before = {name: value.clone() for name, value in module.teacher.codec.state_dict().items()}
    fit(module, batches=3)
    after = module.teacher.codec.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
