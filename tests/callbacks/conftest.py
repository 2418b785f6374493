"""A quiet Trainer for the small codec of codec_double.py; W&B stays offline."""

from collections.abc import Callable
from pathlib import Path

import pytest
import pytorch_lightning as pl


@pytest.fixture(autouse=True, scope="module")
def _offline():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_SILENT", "true")
        yield


@pytest.fixture(scope="session")
def trainer() -> Callable[..., pl.Trainer]:
    """trainer(folder, **options): a Trainer on the CPU that writes into the folder."""

    def make(folder: Path, **options) -> pl.Trainer:
        return pl.Trainer(
            accelerator="cpu",
            default_root_dir=folder,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            log_every_n_steps=1,
            **options,
        )

    return make
