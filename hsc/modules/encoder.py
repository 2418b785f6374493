"""The encoder as a LightningModule."""

import pytorch_lightning as pl
from torch import Tensor

from hsc.config import ModelConfig
from hsc.nets.build import build_encoder


class EncoderModule(pl.LightningModule):
    """images [N, 3, size, size] → latents, one [N, rows, dim] per layer."""

    def __init__(self, model: ModelConfig) -> None:
        super().__init__()
        self.net = build_encoder(model)

    def forward(self, images: Tensor) -> list[Tensor]:
        return [latents.float() for latents in self.net(images)]
