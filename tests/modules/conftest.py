"""Training modules for a few steps, with a look at the gradients of every step."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import hsc.modules  # noqa: F401  isort: skip  torchvision beside CPU torch, before Lightning imports it
import pytest
import pytorch_lightning as pl
import torch
from tiny_model import ROWS, SIZE
from torch.utils.data import DataLoader, IterableDataset

from hsc.judges.lite0 import WIDTHS
from hsc.modules.trainable import TrainableModule
from hsc.training.callbacks import TrainingCurves
from hsc.training.terminal import filter_lightning_logs

W_DIM = 16


class RandomFaces(IterableDataset):
    """Endless batches of four images, each in so many parts; batch k is always the same."""

    def __init__(self, parts: int) -> None:
        super().__init__()
        self.parts = parts

    def __iter__(self) -> Iterator[dict]:
        step = 0
        while True:
            random = torch.Generator().manual_seed(step)
            images = torch.rand(4, 3, SIZE, SIZE, generator=random) * 2 - 1
            whole = {"image": images, "index": torch.arange(4), "name": list("abcd")}
            whole["styles"] = torch.randn(4, sum(ROWS), W_DIM, generator=random)
            for part in range(self.parts):
                yield {name: values[part :: self.parts] for name, values in whole.items()}
            step += 1


class Gradients(pl.Callback):
    """`steps[k]`: largest gradient of each parameter that had one in the k-th optimiser step."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer) -> None:
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        self.steps.append(
            {
                name: float(parameter.grad.abs().max())
                for name, parameter in pl_module.named_parameters()
                if parameter.grad is not None and id(parameter) in held
            }
        )


@pytest.fixture
def first_batch() -> dict:
    """What the first step of `fit` is of."""
    return next(iter(RandomFaces(1)))


@pytest.fixture
def fit(tmp_path: Path) -> Callable[..., Gradients]:
    """`fit(module, batches)` trains on random images, without validation or files."""

    def run(module: TrainableModule, batches: int = 1) -> Gradients:
        filter_lightning_logs()
        warnings.filterwarnings("ignore", message=".*no `val_dataloader`.*")
        gradients = Gradients()
        per_batch = 1 if module.automatic_optimization else 2
        trainer = pl.Trainer(
            accelerator="cpu",
            max_steps=batches * per_batch,
            limit_val_batches=0,
            logger=False,
            callbacks=[gradients, TrainingCurves("only")],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
        )
        trainer.fit(module, DataLoader(RandomFaces(module.stage.accumulate), batch_size=None))
        return gradients

    return run


@pytest.fixture
def plain_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """Projected discriminators look at plain means over squares, with as many channels as Lite0's."""

    def features(images: torch.Tensor) -> list[torch.Tensor]:
        scales = (torch.nn.functional.avg_pool2d(images, 2 << scale) for scale in range(4))
        return [scale.mean(1, keepdim=True).repeat(1, width, 1, 1) for scale, width in zip(scales, WIDTHS, strict=True)]

    monkeypatch.setattr("hsc.modules.decoder.lite0", features)
