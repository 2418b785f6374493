"""Against forgetting: the codec that a stage started from shows what it made of the same faces."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from hsc.modules.codec import CodecModule


class Teacher:
    """A frozen codec module. No Module itself, so that what it teaches neither trains nor saves it."""

    def __init__(self, codec: "CodecModule") -> None:
        self.codec = codec.eval().requires_grad_(False)

    @torch.no_grad()
    def decode(
        self, images: Tensor, quality: Tensor, layers: Sequence[str], chosen: Sequence[Tensor]
    ) -> Sequence[Tensor]:
        """Up to each of the layers, the pictures of the images [N, 3, S, S] chosen for it, by their indices."""
        codec = self.codec.to(images.device)
        latents = codec.encoder(images.contiguous(memory_format=torch.channels_last))[: len(codec.layer_names)]
        prefixes = codec.entropy(latents, quality, "round").prefixes
        own = [prefixes[codec.layer_names.index(layer)] for layer in layers]
        return [images for _, images in codec.decoded(own, quality, chosen)]
