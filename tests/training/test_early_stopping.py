"""Early stopping keeps the best weights, and networks are built from the weights that training starts from."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import nn

from hsc.config import Config, ModelConfig
from hsc.errors import HscError
from hsc.released import DEFAULT_MODEL
from hsc.training.callbacks import EarlyStop
from hsc.training.weights import with_model_of


class Validated:
    """The part of a Trainer that the callback uses."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.sanity_checking, self.should_stop = module, False, False
        self.state = SimpleNamespace(fn=TrainerFn.FITTING)
        self.callback_metrics: dict[str, torch.Tensor] = {}
        self.callbacks: list[pl.Callback] = []
        self.is_global_zero, self.loggers = True, []

    def save_checkpoint(self, path: Path, weights_only: bool) -> None:
        torch.save({"state_dict": self.module.state_dict()}, path)

    def validate(self, stop: EarlyStop, metric: str, value: float) -> None:
        nn.init.constant_(self.module.weight, value)
        self.callback_metrics = {metric: torch.tensor(value)}
        stop.on_validation_end(self, self.module)


@pytest.mark.parametrize(("metric", "values", "best"), [("lpips", (5, 3, 4, 3.5), 3), ("psnr", (20, 22, 21, 21), 22)])
def test_it_stops_after_its_patience_with_the_best_weights(tmp_path: Path, metric: str, values: tuple, best: float):
    trainer, name = Validated(nn.Linear(1, 1)), f"val/enhanced/{metric}"
    stop = EarlyStop(tmp_path, name, patience=2)
    for place, value in enumerate(values):
        assert not trainer.should_stop, place
        trainer.validate(stop, name, value)
        state, stop = stop.state_dict(), EarlyStop(tmp_path, name, patience=2)
        stop.load_state_dict(state)  # killed and resumed
    assert trainer.should_stop
    stop.load_best(trainer.module)
    assert trainer.module.weight.item() == stop.best[name] == best
    stop.remove()
    assert not list(tmp_path.iterdir())


def test_values_that_are_no_numbers_are_no_best(tmp_path: Path):
    trainer = Validated(nn.Linear(1, 1))
    stop = EarlyStop(tmp_path, "val/enhanced/dists", patience=3)
    for value in (float("nan"), 2.0, float("nan")):
        trainer.validate(stop, "val/enhanced/dists", value)
    assert (stop.best, stop.waited) == ({"val/enhanced/dists": 2.0}, 1)


@pytest.mark.parametrize(
    ("logged", "said"),
    [
        ("val/mine", r"whether more of 'val/mine' is better is not known: .*higher_is_better"),
        ("val/x", r"does not report 'val/mine'; it reports val/x"),
    ],
)
def test_a_value_that_nobody_describes_or_reports_is_named(tmp_path: Path, logged: str, said: str):
    with pytest.raises(HscError, match=said):
        Validated(nn.Linear(1, 1)).validate(EarlyStop(tmp_path, "val/mine", 1), logged, 1.0)


def test_networks_come_from_the_weights():
    config = Config(name="x", model_of=DEFAULT_MODEL, run=["a"])
    config.stages = {"a": replace(config.defaults, losses={"basic": {"l2": 1.0}})}
    model = with_model_of(config).model
    assert (model.linear_path, list(model.layers)) == (64, ["basic", "middle", "enhanced"])
    assert with_model_of(replace(config, model=model)).model == model
    with pytest.raises(HscError, match="cannot be combined"):
        with_model_of(replace(config, model=ModelConfig(heads_hidden=8)))
    assert with_model_of(SimpleNamespace(model_of=None)).model_of is None
