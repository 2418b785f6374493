"""Start a codec's latents as principal components of its training faces (`hsc.nets.eigenfaces`)."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from hsc.checkpoints import weights_file
from hsc.data.dataset import FaceDataset, loader
from hsc.data.module import FaceDataModule
from hsc.images import pictures_at_once
from hsc.modules.codec import CodecModule
from hsc.modules.prior import PriorModule
from hsc.modules.trainable import TrainableModule
from hsc.nets.eigenfaces import LARGEST_SQUARE, EigenAnalysis, EigenSynthesis, latent_scale, principal_components
from hsc.nets.encoder import PyramidEncoder
from hsc.nets.entropy import LOG_SCALE_RANGE, EntropyTransformer
from hsc.nets.heads import StyleHeads
from hsc.nets.layers import FullyConnected
from hsc.nets.planes import numbers_of_planes, to_cells
from hsc.nets.stylegan2 import StyleGAN2
from hsc.progress import progress

FACES = 4000  # of so many, evenly spread, networks see enough
HELD_BYTES = 2**31  # of planes of pictures whose second moments are not held instead
BATCH = 250
COMPONENTS = "decoder.heads.eigen.components."


def holds_eigenfaces(path: Path, module: TrainableModule) -> bool:
    """Whether the weights file has the module's linear path already, with as many components."""
    held = weights_file.load(path).tensors if weights_file.is_safetensors(path) else {}
    own = {name: value for name, value in module.state_dict().items() if name.startswith(COMPONENTS)}
    return all(name in held and held[name].shape == value.shape for name, value in own.items())


@torch.no_grad()
def start_as_eigenfaces(module: TrainableModule, data: FaceDataModule) -> None:
    """Make the codec the plain transform code of principal components: latents are coefficients, most variance first,
    the decoded image their picture, the entropy model knows their spread. What the networks make beside that begins at
    zero, the generator's toRGB layers among them, so that they learn what the linear path cannot do.
    """
    assert isinstance(module, CodecModule | PriorModule)
    encoder, heads, generator = module.encoder.net, module.decoder.heads, module.decoder.generator
    assert encoder.eigen is not None
    assert heads.eigen is not None
    side = encoder.eigen.side
    components = heads.eigen.components
    mean, basis, deviations = principal_components(
        _decomposed_faces(data, side), side, len(components.weight), components.emphasis
    )
    components.set_to(mean, basis)
    silence_encoder(encoder)
    if isinstance(heads, StyleHeads):
        silence_styles(heads)
    if isinstance(generator, StyleGAN2):
        silence_drawing(generator)
    spread = deviations / latent_scale(side)
    if encoder.eigen.grid:
        spread = torch.cat([spread, _fit_cells(module, data, encoder.eigen, heads.eigen)])
    if isinstance(module, CodecModule):
        _spread(module.entropy.net, spread)


@torch.no_grad()
def silence_encoder(encoder: PyramidEncoder) -> None:
    """Let the network add nothing to the linear path's latents."""
    for head in encoder.heads:
        _zero(head.get_submodule("linear"))


@torch.no_grad()
def silence_styles(heads: StyleHeads) -> None:
    """Let every face have the mean style."""
    for net in heads.nets:
        _zero(net.get_submodule("linear"), net.get_submodule("down"))


@torch.no_grad()
def silence_drawing(generator: StyleGAN2) -> None:
    """Let the generator draw nothing, so that the linear path's picture is left."""
    for resolution in generator.synthesis_network.resolutions:
        to_rgb = generator.synthesis_network.get_submodule(f"b{resolution}.torgb")
        to_rgb.get_parameter("weight").zero_()
        to_rgb.get_parameter("bias").zero_()


def _fit_cells(
    module: CodecModule | PriorModule, data: FaceDataModule, analysis: EigenAnalysis, synthesis: EigenSynthesis
) -> Tensor:
    """Make the grid's latents the principal components of what decoded images of all other layers lack, cell by cell,
    as nearly as the encoder can tell them from what it sees. Returns their standard deviations, all cells in order.
    """
    _zero(synthesis.cells)
    lacks, sees, both = (_Moments() for _ in range(3))
    for images in training_faces(data.dataset("train"), FACES, data.workers):
        *latents, unknown = module.encoder(images)
        flat = torch.cat([layer.flatten(1) for layer in latents], 1)
        drawn = module.decoder([*latents, unknown.zero_()], torch.zeros(len(images), dtype=torch.long)).float()
        lacking, seen = to_cells(images - drawn, analysis.grid), analysis.left_over(images, flat)
        lacks.add(lacking, lacking)
        sees.add(seen, seen)
        both.add(seen, lacking)
    scale, dim = latent_scale(analysis.size), synthesis.cells.weight.shape[1]
    basis = torch.linalg.eigh(lacks.mean.mean(0))[1].flip(1)[:, :dim]
    seen_anywhere = sees.mean.mean(0)
    ridge = 1e-4 * seen_anywhere.diagonal().mean() * torch.eye(len(seen_anywhere), dtype=seen_anywhere.dtype)
    read = torch.linalg.solve(seen_anywhere + ridge, both.mean.mean(0) @ basis) / scale
    _set(analysis.cells, read.t().float(), torch.zeros(dim))
    _set(synthesis.cells, (basis * scale).float(), torch.zeros(len(basis)))
    return torch.einsum("pd,cpq,qd->cd", read, sees.mean, read).clamp_min(0).sqrt().flatten().float()


class _Moments:
    """Mean products of the numbers of each cell, over all images: [grid², numbers, numbers], in float64."""

    def __init__(self) -> None:
        self._sum, self._count = torch.zeros((), dtype=torch.float64), 0

    def add(self, left: Tensor, right: Tensor) -> None:
        """Two of [N, grid², numbers]."""
        self._sum = self._sum + torch.einsum("ncp,ncq->cpq", left, right)
        self._count += len(left)

    @property
    def mean(self) -> Tensor:
        return self._sum / self._count


def _decomposed_faces(data: FaceDataModule, side: int) -> Iterator[Tensor]:
    """All training faces, or of large pictures as many as memory holds."""
    dataset = data.dataset("train")
    most = len(dataset) if side <= LARGEST_SQUARE else HELD_BYTES // (4 * numbers_of_planes(side))
    with progress(min(most, len(dataset)), "faces decomposed") as advance:
        for images in training_faces(dataset, most, data.workers):
            yield images
            advance(len(images))


def training_faces(dataset: FaceDataset, most: int = FACES, workers: int = 0) -> Iterator[Tensor]:
    """Faces of a set, [up to BATCH, 3, size, size] at a time; at most so many of them, evenly spread."""
    chosen = torch.linspace(0, len(dataset) - 1, min(most, len(dataset)), dtype=torch.float64).long().tolist()
    batch = min(BATCH, pictures_at_once(dataset.size))
    batches = [chosen[start : start + batch] for start in range(0, len(chosen), batch)]
    for read in loader(dataset, batches, workers):
        yield read["image"]


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
