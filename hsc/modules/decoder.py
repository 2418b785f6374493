"""The decoder as a LightningModule: heads and generator, and the discriminator in training."""

from collections.abc import Sequence

import pytorch_lightning as pl
from torch import Tensor, nn

from hsc.config import ModelConfig
from hsc.judges.lite0 import WIDTHS, lite0
from hsc.nets.build import build_discriminator, build_generator, build_heads, image_size
from hsc.nets.heads import decode, styles_of
from hsc.nets.projected import ProjectedDiscriminator


class DecoderModule(pl.LightningModule):
    """latents (one [N, rows, dim] per layer) and quality [N] → W+ → images [N, 3, size, size].

    `discriminator`: the kind to add for adversarial stages; None adds none.
    """

    def __init__(self, model: ModelConfig, discriminator: str | None = None) -> None:
        super().__init__()
        self.heads = build_heads(model)
        self.generator = build_generator(model)
        self.discriminator = None if discriminator is None else discriminator_of(model, discriminator)

    def styles(self, latents: Sequence[Tensor], quality: Tensor) -> Tensor:
        """W+ [N, rows, w_dim]: the generator's mean style plus the heads' output."""
        return styles_of(self.heads, self.generator, latents, quality)

    def forward(self, latents: Sequence[Tensor], quality: Tensor) -> Tensor:
        return decode(self.heads, self.generator, latents, quality)


def discriminator_of(model: ModelConfig, kind: str) -> nn.Module:
    """A discriminator of this kind for images of the model's size."""
    if kind == "projected":
        return ProjectedDiscriminator(lite0, WIDTHS, image_size(model))
    return build_discriminator(model)
