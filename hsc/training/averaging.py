"""Running average of the weights: what is validated and released."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor

RAMP_UP = 0.05


class HalfLifeAveraging(WeightAveraging):
    """Exponential average with a half-life in images, shorter at the start (5 % of what was seen: StyleGAN2's ramp-up).

    Validation, checkpoints' `state_dict` and the end of training see the average; training goes on from the current
    weights.
    """

    def __init__(self, half_life_images: float, batch_size: int) -> None:
        def average(averaged: Tensor, current: Tensor, updates: Any) -> Tensor:
            seen = max(int(updates), 1) * batch_size
            decay = 0.5 ** (batch_size / max(min(half_life_images, seen * RAMP_UP), 1e-8))
            return averaged.lerp(current.to(averaged.dtype), 1 - decay)

        super().__init__(
            device=torch.device("cpu") if not torch.cuda.is_available() else None, use_buffers=False, avg_fn=average
        )

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Where a resumed run has no step left, Lightning skips on_train_end, which puts the average in place.
        self.on_train_end(trainer, pl_module)
