"""Multi-task scalable rate–distortion objective: Σ over prefixes j of weight_j · (λ·bits≤j/pixel + Σ_t w_jt·D_t)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hsc.config import StageConfig
from hsc.losses import Loss


class Terms(NamedTuple):
    """The objective and its parts, by the names they are logged under ("basic/lpips.alex", "middle/bpp_estimated")."""

    total: Tensor
    parts: dict[str, Tensor]


class Prefix(NamedTuple):
    """Faces of a batch, decoded up to a layer.

    `portion`: times the mean over these faces is, in the mean over slices of a step, the mean over all that the step
    decodes up to this layer. `images` have no pixels (S = 0) where no term looks at them. Originals of the first
    `num_small` images have fewer pixels than these, which are compared by their averages.
    """

    layer: str
    chosen: Tensor  # [n] their indices in the batch
    portion: float
    styles: Tensor  # [n, rows, w_dim]
    images: Tensor  # [n, 3, S, S]
    num_small: int


class Objective:
    """The stage's weights of layers and tasks; `losses`: the terms by name."""

    def __init__(self, stage: StageConfig, layers: Sequence[str], losses: Mapping[str, Loss]) -> None:
        self.layers = layers
        self.weights = {layer: stage.layer_weights.get(layer, 1.0) for layer in layers}
        self.tasks = {
            layer: {task: w for task, w in stage.losses.get(layer, {}).items() if task in losses and w * weight}
            for layer, weight in self.weights.items()
        }
        self.losses = losses
        self.styled = stage.styles
        self.adversarial = stage.is_adversarial

    @property
    def needs_images(self) -> bool:
        """Whether any term or a discriminator looks at decoded images."""
        return bool(self.adversarial or any(self.tasks.values()))

    def distortion(self, layer: str, images: Tensor, originals: Tensor, landmarks: Tensor | None) -> Terms:
        """Tasks of one layer on the images decoded from it."""
        parts: dict[str, Tensor] = {}
        total = images.new_zeros(())
        for task, weight in self.tasks[layer].items():
            # Judges cannot look at no image at all.
            value = self.losses[task](images, originals, landmarks).mean() if len(images) else total
            parts[f"{layer}/{task}"] = value.detach()
            total = total + weight * value
        return Terms(self.weights[layer] * total, parts)

    def styles(self, layer: str, decoded: Tensor, known: Tensor) -> Terms:
        """Squared distance of the rows of decoded W+ to those that the faces were drawn from, [N, rows, w_dim] both."""
        value = (decoded - known).square().sum(2).mean() if len(decoded) else decoded.sum()
        return Terms(self.weights[layer] * self.styled * value, {f"{layer}/styles": value.detach()})

    def rate(self, row_bits: Tensor, layer_rows: Sequence[int], lambdas: Tensor, pixels: int) -> Terms:
        """λ·bits≤j / pixel, summed over prefixes. row_bits [N, rows], lambdas [N]: each image's own λ."""
        parts: dict[str, Tensor] = {}
        total = row_bits.new_zeros(())
        ends = torch.tensor(layer_rows).cumsum(0).tolist()
        for layer, end in zip(self.layers, ends, strict=False):
            bpp = row_bits[:, :end].sum(1) / pixels
            parts[f"{layer}/bpp_estimated"] = bpp.detach().mean()
            total = total + self.weights[layer] * (lambdas * bpp).mean()
        return Terms(total, parts)
