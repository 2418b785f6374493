"""Build the networks of a model configuration (`hsc.config.ModelConfig`)."""

from hsc.config import ModelConfig
from hsc.nets.discriminator import Discriminator
from hsc.nets.eigenfaces import EigenSynthesis
from hsc.nets.encoder import PyramidEncoder
from hsc.nets.entropy import EntropyTransformer
from hsc.nets.entropy_integer import IntegerEntropyTransformer
from hsc.nets.generator import Generator
from hsc.nets.heads import Heads, StyleHeads
from hsc.nets.mobile_stylegan import MobileStyleGAN, size_of
from hsc.nets.picture_heads import PictureHeads
from hsc.nets.quantise import Gain
from hsc.nets.stylegan2 import StyleGAN2


def image_size(model: ModelConfig) -> int:
    """Side of the model's images in pixels."""
    return model.generator.resolutions[-1]


def full_size(model: ModelConfig) -> int:
    """Side of the generator's full-size images in pixels; 0 if it has no full size."""
    return size_of(model.generator.full) if model.generator.full else 0


def bands(model: ModelConfig) -> list[tuple[int, int]]:
    """(rows, dim) of each layer's latents."""
    return [(layer.rows, layer.dim) for layer in model.layers.values()]


def build_generator(model: ModelConfig) -> Generator:
    config = model.generator
    if config.architecture == "mobilestylegan":
        return MobileStyleGAN(config.channels, config.z_dim, config.w_dim, config.mapping_layers, config.full)
    return StyleGAN2(config.channels, config.z_dim, config.w_dim, config.mapping_layers, config.input)


def build_discriminator(model: ModelConfig) -> Discriminator:
    channels = model.generator.channels
    missing = len(model.generator.resolutions) - len(channels)
    return Discriminator([*channels, *[channels[-1]] * missing])


def build_encoder(model: ModelConfig) -> PyramidEncoder:
    config = model.encoder
    linear = model.linear_path, model.blocks
    return PyramidEncoder(image_size(model), config.channels, bands(model), config.pyramid_channels, *linear)


def build_heads(model: ModelConfig) -> Heads:
    generator = model.generator
    if not model.linear_path:
        return StyleHeads(bands(model), generator.w_dim, len(model.lambdas), model.heads_hidden)
    synthesis = EigenSynthesis(model.linear_path, bands(model), model.blocks)
    widths = dict(zip(generator.resolutions[1:-1], generator.channels[1:], strict=True))
    return PictureHeads(synthesis, generator.w_dim, len(model.lambdas), model.heads_hidden, widths)


def build_entropy(model: ModelConfig) -> EntropyTransformer:
    config = model.entropy
    return EntropyTransformer(bands(model), len(model.lambdas), config.width, config.depth, config.heads)


def build_entropy_twin(model: ModelConfig) -> IntegerEntropyTransformer:
    config = model.entropy
    return IntegerEntropyTransformer(bands(model), len(model.lambdas), config.width, config.depth, config.heads)


def build_gain(model: ModelConfig) -> Gain:
    return Gain(model.lambdas, [dim for rows, dim in bands(model) for _ in range(rows)])
