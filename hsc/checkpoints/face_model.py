"""Random faces from a weights file: how to draw one, whatever kind of prior it holds."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from hsc.checkpoints import weights_file
from hsc.checkpoints.generators import load_generator
from hsc.config import model_from_dict
from hsc.images import pictures_at_once
from hsc.nets.build import bands, build_heads, row_dims
from hsc.nets.generator import Generator
from hsc.nets.heads import decode

PRIOR = "prior"
MEAN, FACTOR = "latents.mean", "latents.factor"


class FaceModel(NamedTuple):
    """draw(z [N, z_dim] standard normal, truncation in [0, 1]) → images [N, 3, size, size].

    `generator`: whose mapping network makes styles of z; None where faces are drawn from latents.
    """

    draw: Callable[[Tensor, float], Tensor]
    z_dim: int
    size: int
    generator: Generator | None = None

    @property
    def batch(self) -> int:
        """How many to draw at a time."""
        return images_at_a_time(self.size)


def images_at_a_time(size: int) -> int:
    """Images of this size that a generator draws at a time in a few hundred megabytes: 16 up to 256², 1 at 1024²."""
    return min(16, pictures_at_once(size))


def load_face_model(path: str | Path) -> FaceModel:
    """A generator draws faces through its mapping network. A prior that was trained by reconstruction has none worth
    the name: there a face is drawn from the Gaussian of its training faces' latents, through heads and generator.

    Raises HscError for what `load_generator` refuses.
    """
    generator = load_generator(path)
    held = weights_file.load(path) if weights_file.is_safetensors(path) else None
    if held is None or FACTOR not in held.tensors:
        return FaceModel(
            lambda z, truncation: generator(z, truncation).float(), generator.z_dim, generator.size, generator
        )
    model = model_from_dict(held.config)
    heads = build_heads(model).eval().requires_grad_(False)
    own = {name: value for name, value in held.tensors.items() if name.startswith("decoder.heads.")}
    heads.load_state_dict({name.removeprefix("decoder.heads."): value for name, value in own.items()})
    mean, factor = held.tensors[MEAN].float(), held.tensors[FACTOR].float()
    sizes = [rows * dim for rows, dim in bands(model)]

    def draw(z: Tensor, truncation: float) -> Tensor:
        latents = mean + truncation * z @ factor.t()
        layers = [flat.view(len(z), *band) for flat, band in zip(latents.split(sizes, 1), bands(model), strict=True)]
        best = torch.full((len(z),), len(model.lambdas) - 1)
        return decode(heads, generator, layers, best).float()

    return FaceModel(draw, sum(row_dims(model)), generator.size)
