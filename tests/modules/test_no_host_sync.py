"""A training step waits for the device only when it logs; it reads no value at other times."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny_model import tiny_config
from torch.utils._python_dispatch import TorchDispatchMode

from hsc.losses import load_losses
from hsc.modules.base import TrainableModule
from hsc.modules.codec import CodecModule
from hsc.modules.prior import PriorModule

WAITS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero", "aten::equal", "aten::masked_select")


class Waits(TorchDispatchMode):
    """Records operations that would wait for a device, except in the optimiser, which counts its steps on the CPU, and
    while prefixes are drawn, which also happens on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.allowed = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name in WAITS and not self.allowed:
            self.seen.append(func._schema.name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", ["prior", "codec"])
def test_no_step_asks_for_a_value(fit: Callable, kind: str, monkeypatch: pytest.MonkeyPatch):
    waits = Waits()

    def unseen(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            waits.allowed = True
            try:
                return original(*args, **kwargs)
            finally:
                waits.allowed = False

        monkeypatch.setattr(owner, name, call)

    unseen(torch.optim.Adam, "step")
    unseen(CodecModule, "_decoded_prefixes")
    adversarial = {"module": "prior", "train": ["generator", "mapping", "discriminator"]}
    config = tiny_config(log_every=100, **(adversarial if kind == "prior" else {}))
    made: type[TrainableModule] = PriorModule if kind == "prior" else CodecModule
    module = made(config, config.stages["only"], load_losses(["l2"]))
    original = module.training_step

    def training_step(*args: Any) -> Any:
        with waits:
            return original(*args)

    module.training_step = training_step
    fit(module, batches=3)
    assert module.step == 3
    assert waits.seen == []
