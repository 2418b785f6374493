"""The decoder as a LightningModule: heads and generator, and the discriminator that teaches them."""

from collections.abc import Sequence

import pytorch_lightning as pl
from torch import Tensor

from hsc.config import ModelConfig
from hsc.nets.build import build_discriminator, build_generator, build_heads
from hsc.nets.heads import decode


class DecoderModule(pl.LightningModule):
    """latents (one [N, rows, dim] a layer) and quality [N] → W+ → images [N, 3, size, size].

    `adversarial`: with a discriminator, for stages that train against one.
    """

    def __init__(self, model: ModelConfig, adversarial: bool = False) -> None:
        super().__init__()
        self.heads = build_heads(model)
        self.generator = build_generator(model)
        self.discriminator = build_discriminator(model) if adversarial else None

    def styles(self, latents: Sequence[Tensor], quality: Tensor) -> Tensor:
        """W+ [N, rows, w_dim]: the generator's mean style plus what the heads make of the latents."""
        return self.generator.mean_w + self.heads(latents, quality)

    def forward(self, latents: Sequence[Tensor], quality: Tensor) -> Tensor:
        return decode(self.heads, self.generator, latents, quality)
