"""Running average of the weights: what is validated and released."""

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging

RAMP_UP = 0.05


class HalfLifeAveraging(WeightAveraging):
    """Exponential average with a half-life in images, shorter at the start (5 % of what was seen: StyleGAN2's ramp-up).

    It lies beside the weights on their device and follows them without waiting for it. Validation, checkpoints'
    `state_dict` and the end of training see the average; training goes on from the current weights.
    """

    def __init__(self, half_life_images: float, batch_size: int) -> None:
        self.half_life_images, self.batch_size = half_life_images, batch_size
        super().__init__(use_buffers=False, multi_avg_fn=self._follow)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._device = trainer.strategy.root_device  # the module itself is moved there later
        super().setup(trainer, pl_module, stage)
        if self._average_model is not None:
            self._average_model.n_averaged = self._average_model.n_averaged.cpu()  # read in every step

    def _follow(self, averaged: Any, current: Any, _: Any) -> None:
        assert self._average_model is not None
        torch._foreach_lerp_(averaged, current, 1 - self._decay(int(self._average_model.n_averaged)))

    def _decay(self, updates: int) -> float:
        half_life = min(self.half_life_images, max(updates, 1) * self.batch_size * RAMP_UP)
        return 0.5 ** (self.batch_size / max(half_life, 1e-8))

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Where a resumed run has no step left, Lightning skips on_train_end, which puts the average in place.
        self.on_train_end(trainer, pl_module)
