"""Early stopping keeps the best weights, and networks come from the weights that training starts from."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from pytorch_lightning.trainer.states import TrainerFn
from torch import nn

from hsc.config import Config, ModelConfig
from hsc.errors import HscError
from hsc.released import DEFAULT_MODEL
from hsc.training.early import EarlyStop
from hsc.training.weights import with_model_of


class Validated:
    """What the callback asks of a Trainer."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.sanity_checking, self.should_stop = module, False, False
        self.state = SimpleNamespace(fn=TrainerFn.FITTING)
        self.callback_metrics: dict[str, torch.Tensor] = {}

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
    stop.put_best(trainer.module)
    assert trainer.module.weight.item() == stop.metrics[name] == best
    stop.remove()
    assert not list(tmp_path.iterdir())


def test_values_that_are_no_numbers_are_no_best(tmp_path: Path):
    trainer = Validated(nn.Linear(1, 1))
    stop = EarlyStop(tmp_path, "val/x", patience=3)
    for value in (float("nan"), 2.0, float("nan")):
        trainer.validate(stop, "val/x", value)
    assert (stop.metrics, stop.waited) == ({"val/x": 2.0}, 1)


def test_an_unknown_value_is_named(tmp_path: Path):
    with pytest.raises(HscError, match=r"does not report 'val/y'; it reports val/x"):
        Validated(nn.Linear(1, 1)).validate(EarlyStop(tmp_path, "val/y", 1), "val/x", 1.0)


def test_networks_come_from_the_weights():
    config = Config(name="x", model_of=DEFAULT_MODEL, run=["a"])
    config.stages = {"a": replace(config.defaults, losses={"basic": {"l2": 1.0}})}
    model = with_model_of(config).model
    assert (model.picture, list(model.layers)) == (64, ["basic", "middle", "enhanced"])
    assert with_model_of(replace(config, model=model)).model == model
    with pytest.raises(HscError, match="exclude each other"):
        with_model_of(replace(config, model=ModelConfig(heads_hidden=8)))
    assert with_model_of(SimpleNamespace(model_of=None)).model_of is None
