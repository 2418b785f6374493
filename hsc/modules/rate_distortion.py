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

    `portion`: weight of the mean over these faces, such that the weighted means averaged over the slices of a step are
    the mean over all faces that the step decodes up to this layer. `images` have no pixels (S = 0) if no term uses
    them. The originals of the first `num_small` images have fewer pixels than these, which are averaged to be compared.
    """

    layer: str
    chosen: Tensor  # [n] their indices in the batch
    portion: float
    styles: Tensor  # [n, rows, w_dim]
    images: Tensor  # [n, 3, S, S]
    num_small: int


class Compared(NamedTuple):
    """Faces decoded up to a layer, with their originals. `portion`: weight of their mean."""

    layer: str
    portion: float
    images: Tensor  # [n, 3, S, S], as the originals
    originals: Tensor
    landmarks: Tensor | None  # [n, P, 2] of the originals, if known: then for all faces that are compared together


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
        """Whether any term or a discriminator uses decoded images."""
        return bool(self.adversarial or any(self.tasks.values()))

    def compares(self, layer: str) -> bool:
        """Whether any term compares what is decoded up to this layer."""
        return bool(self.styled or self.tasks[layer])

    def distortion(self, faces: Sequence[Compared]) -> Terms:
        """The task losses of the layers that the faces were decoded from. A task takes the images of all its layers at
        once: a judge is called once per step, always on the same number of images.
        """
        parts: dict[str, Tensor] = {}
        total = faces[0].images.new_zeros(())
        for task in dict.fromkeys(task for tasks in self.tasks.values() for task in tasks):
            asked = [own for own in faces if task in self.tasks[own.layer]]
            for own, values in zip(asked, self._values(task, asked), strict=True):
                value = own.portion * (values.mean() if len(values) else values.sum())
                parts[f"{own.layer}/{task}"] = value.detach()
                total = total + self.weights[own.layer] * self.tasks[own.layer][task] * value
        return Terms(total, parts)

    def _values(self, task: str, faces: Sequence[Compared]) -> Sequence[Tensor]:
        """The task's loss of each image, [n] for each entry of `faces`."""
        counts = [len(own.images) for own in faces]
        if not sum(counts):  # judges do not accept empty batches
            return [own.images.sum().expand(0) for own in faces]
        images, originals = torch.cat([own.images for own in faces]), torch.cat([own.originals for own in faces])
        points = [own.landmarks for own in faces if own.landmarks is not None]
        return self.losses[task](images, originals, torch.cat(points) if points else None).split(counts)

    def styles(self, layer: str, decoded: Tensor, known: Tensor, portion: float = 1.0) -> Terms:
        """Squared distance of the rows of decoded W+ to those that generated the faces, [N, rows, w_dim] both."""
        value = portion * ((decoded - known).square().sum(2).mean() if len(decoded) else decoded.sum())
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
