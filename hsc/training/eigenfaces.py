"""Start a codec's latents as principal components of its training faces (`hsc.nets.eigenfaces`)."""

import math
from pathlib import Path

import torch
from torch import Tensor

from hsc.checkpoints import weights_file
from hsc.data.module import FaceDataModule
from hsc.modules.codec import CodecModule
from hsc.modules.prior import PriorModule
from hsc.modules.trainable import TrainableModule
from hsc.nets.eigenfaces import components, small_pictures
from hsc.nets.entropy import LOG_SCALE_RANGE, EntropyTransformer
from hsc.nets.generator import Generator
from hsc.nets.layers import FullyConnected

STEP = 0.012  # what one latent's unit moves of the picture, root mean square, in units of images in [-1, 1]
FACES = 4000  # at most so many are decomposed
BATCH = 250
FITTED = "encoder.net.eigen.linear.weight"


def holds_eigenfaces(path: Path) -> bool:
    """Whether the weights file has a linear path already."""
    return weights_file.is_safetensors(path) and FITTED in weights_file.load(path).tensors


@torch.no_grad()
def start_as_eigenfaces(module: TrainableModule, data: FaceDataModule, fresh: bool) -> None:
    """Make the codec the plain transform code of principal components: latents are coefficients, most variance first,
    the decoded image their picture, the entropy model knows their spread. What the networks make beside that begins at
    zero, so that they learn what the linear path cannot do. `fresh`: the generator has learnt nothing yet, so that what
    it draws begins at zero as well.
    """
    assert isinstance(module, CodecModule | PriorModule)
    encoder, heads, generator = module.encoder.net, module.decoder.heads, module.decoder.generator
    assert encoder.eigen is not None
    assert heads.eigen is not None
    side = encoder.eigen.side
    if fresh:
        for resolution in generator.synthesis_network.resolutions:
            generator.synthesis_network.get_parameter(f"b{resolution}.torgb.weight").zero_()
    latents = encoder.eigen.linear.weight.shape[0]
    mean, basis, deviations = components(_pictures(data, side), latents)
    scale = STEP * math.sqrt(3 * side**2)
    _set(encoder.eigen.linear, basis.t() / scale, -(mean @ basis) / scale)
    _set(heads.eigen.linear, basis * scale, mean - _blank(generator, side))
    for head in encoder.heads:
        _zero(head.get_submodule("linear"))
    for net in heads.nets:
        _zero(net.get_submodule("linear"), net.get_submodule("down"))
    if isinstance(module, CodecModule):
        _spread(module.entropy.net, deviations / scale)


def _pictures(data: FaceDataModule, side: int) -> Tensor:
    faces = data.dataset("train")
    chosen = torch.linspace(0, len(faces) - 1, min(FACES, len(faces))).long().tolist()
    batches = (chosen[start : start + BATCH] for start in range(0, len(chosen), BATCH))
    return torch.cat([small_pictures(faces[batch]["image"], side) for batch in batches])


def _blank(generator: Generator, side: int) -> Tensor:
    """What the generator draws of the mean style alone, as a small picture [3·side²]."""
    styles = generator.mean_w.expand(1, generator.num_rows, -1)
    return small_pictures(generator.synthesis(styles).float(), side).flatten()


def _set(layer: FullyConnected, weight: Tensor, bias: Tensor) -> None:
    layer.weight.copy_(weight / layer.weight_gain)
    layer.bias.copy_(bias / layer.bias_gain)


def _zero(*layers: torch.nn.Module) -> None:
    for layer in layers:
        for parameter in layer.parameters():
            parameter.zero_()


def _spread(entropy: EntropyTransformer, deviations: Tensor) -> None:
    """Standard deviations of the latents, in order, where the entropy model's own begin."""
    log_scales = deviations.log().clamp(*LOG_SCALE_RANGE)
    start = 0
    for bias in entropy.scale_bias:
        bias.copy_(log_scales[start : start + bias.numel()].view_as(bias))
        start += bias.numel()
