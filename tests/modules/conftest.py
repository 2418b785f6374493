"""Fixtures that train modules for a few steps and record the gradients of every step."""

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import pytorch_lightning as pl
from random_faces import RandomFaces, features
from torch.utils.data import DataLoader

from hsc.modules.base import TrainableModule
from hsc.training.callbacks import TrainingCurves
from hsc.training.terminal import filter_lightning_logs


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
        trainer.fit(module, DataLoader(RandomFaces(module), batch_size=None))
        return gradients

    return run


@pytest.fixture
def plain_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """Projected discriminators use block averages in place of Lite0's features."""
    monkeypatch.setattr("hsc.modules.decoder.lite0", features)
