"""Initialise a codec's latents as principal components of its training faces (`hsc.nets.eigenfaces`)."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from hsc.checkpoints import weights_file
from hsc.data.dataset import FaceDataset, loader
from hsc.data.module import FaceDataModule
from hsc.images import pictures_at_once
from hsc.modules.base import TrainableModule
from hsc.modules.codec import CodecModule
from hsc.nets.eigenfaces import Blocks, EigenAnalysis, block_components, principal_components
from hsc.nets.entropy import LOG_SCALE_RANGE, EntropyTransformer
from hsc.progress import progress

BATCH = 250
BLOCK_FACES = 1000  # from which the components of blocks are computed, since each has many blocks
LINEAR_PATH = "decoder.heads.eigen."


def holds_eigenfaces(path: Path, module: TrainableModule) -> bool:
    """Whether the weights file already has the module's linear path, with as many components."""
    held = weights_file.load(path).tensors if weights_file.is_safetensors(path) else {}
    own = {name: value for name, value in module.state_dict().items() if name.startswith(LINEAR_PATH)}
    return all(name in held and held[name].shape == value.shape for name, value in own.items())


@torch.no_grad()
def start_as_eigenfaces(module: TrainableModule, data: FaceDataModule) -> None:
    """Initialise the codec as a plain transform code of principal components: latents are coefficients in order of
    decreasing variance, and the entropy model starts from their standard deviations, with means of zero. The encoder's
    network adds nothing to them yet, so that it learns what the linear path cannot represent.
    """
    assert isinstance(module, CodecModule)
    encoder = module.encoder.net
    assert encoder.eigen is not None
    eigen, components = encoder.eigen, encoder.eigen.components
    mean, basis, deviations = principal_components(
        _decomposed_faces(data), eigen.side, eigen.num_whole, components.emphasis
    )
    components.set_to(mean, basis)
    spreads = deviations / components.scale
    if eigen.blocks is not None:
        spreads = torch.cat([spreads, start_blocks(eigen, eigen.blocks, data.dataset("train"), data.workers)])
    for head in encoder.heads:
        for parameter in head.get_submodule("linear").parameters():
            parameter.zero_()
    _spread(module.entropy.net, spreads)


@torch.no_grad()
def start_blocks(eigen: EigenAnalysis, blocks: Blocks, dataset: FaceDataset, workers: int = 0) -> Tensor:
    """Initialise the components of blocks from what whole faces leave out; → the spread of each of their latents."""

    def left_over() -> Iterator[Tensor]:
        for images in training_faces(dataset, BLOCK_FACES, workers):
            yield eigen.left_over(images, eigen.whole(images))

    blocks.set_to(block_components(left_over(), len(blocks.weight), blocks.emphasis))
    squares = torch.cat([blocks.read(pictures).square() for pictures in left_over()])
    return squares.mean(0).sqrt()


def _decomposed_faces(data: FaceDataModule) -> Iterator[Tensor]:
    dataset = data.dataset("train")
    with progress(len(dataset), "faces decomposed") as advance:
        for images in training_faces(dataset, len(dataset), data.workers):
            yield images
            advance(len(images))


def training_faces(dataset: FaceDataset, most: int, workers: int = 0) -> Iterator[Tensor]:
    """Faces of a set, [up to BATCH, 3, size, size] at a time; at most `most` of them, evenly spaced."""
    chosen = torch.linspace(0, len(dataset) - 1, min(most, len(dataset)), dtype=torch.float64).long().tolist()
    batch = min(BATCH, pictures_at_once(dataset.size))
    batches = [chosen[start : start + batch] for start in range(0, len(chosen), batch)]
    for read in loader(dataset, batches, workers):
        yield read["image"]


def _spread(entropy: EntropyTransformer, spreads: Tensor) -> None:
    """Initialise the entropy model from the standard deviations of the latents, in order. Means start at zero: random
    ones, divided by small gains, would fill pictures with noise.
    """
    for mean in entropy.mean_out:
        mean.zero_()
    log_scales = spreads.log().clamp(*LOG_SCALE_RANGE)
    start = 0
    for bias in entropy.scale_bias:
        bias.copy_(log_scales[start : start + bias.numel()].view_as(bias))
        start += bias.numel()
