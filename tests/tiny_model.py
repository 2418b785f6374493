"""Models that train a step in milliseconds: of 32×32 pixels, with three layers of 3, 3 and 2 rows, and of 16×16."""

import math
from dataclasses import replace
from typing import Any

import torch

from hsc.checkpoints.storage import as_stored
from hsc.codec import Codec, Networks
from hsc.config import Config, LayerConfig, ModelConfig, StageConfig
from hsc.config.schema import EncoderConfig, EntropyConfig, GeneratorConfig, JudgesConfig, LoggingConfig
from hsc.nets import build
from hsc.nets.entropy import EntropyTransformer
from hsc.nets.heads import StyleHeads
from hsc.nets.picture_heads import PictureHeads

LAYERS = ("basic", "middle", "enhanced")
ROWS = (3, 3, 2)
DIM = 8
SIZE = 32

# As in an experiment's file: for 16×16 pixels, with losses and judges that need no weights.
EXPERIMENT: dict[str, Any] = {
    "name": "tiny",
    "model": {
        "layers": {layer: {"rows": 2, "dim": 8} for layer in LAYERS},
        "heads_hidden": 16,
        "generator": {"channels": [8, 8, 8], "z_dim": 16, "w_dim": 16, "mapping_layers": 2},
        "encoder": {"channels": [8, 8, 8], "pyramid_channels": 16},
        "entropy": {"width": 16, "depth": 1, "heads": 2},
    },
    "judges": {"identity": "none", "landmarks": "none", "perceptual": ["psnr"]},
    "logging": {"wandb": "disabled"},
    "defaults": {
        "data": {"path": "faces", "train": "00-23", "validation": "24-31"},
        "losses": {layer: {"l2": 1} for layer in LAYERS},
        "precision": "32-true",
        "batch_size": 8,
    },
}


def tiny_model() -> ModelConfig:
    return ModelConfig(
        layers={name: LayerConfig(rows, DIM) for name, rows in zip(LAYERS, ROWS, strict=True)},
        lambdas=[0.1, 0.01],
        heads_hidden=16,
        generator=GeneratorConfig(channels=[16, 16, 16, 16], z_dim=16, w_dim=16, mapping_layers=2),
        encoder=EncoderConfig(channels=[16, 16, 16, 16], pyramid_channels=32),
        entropy=EntropyConfig(width=16, depth=1, heads=2),
    )


def tiny_linear_model() -> ModelConfig:
    """With a linear path, whose pictures are the input of a MobileStyleGAN; the layers have 3, 4 and 9 rows."""
    generator = GeneratorConfig("mobilestylegan", [8, 8, 8], z_dim=8, w_dim=8, mapping_layers=1, input="const")
    layers = {name: LayerConfig(rows, DIM) for name, rows in zip(LAYERS, (3, 4, 9), strict=True)}
    return replace(tiny_model(), layers=layers, linear_path=SIZE, generator=generator)


def tiny_model_with_blocks() -> ModelConfig:
    """With a linear path of half the size; of the last layer's 72 latents, 64 are those of blocks."""
    return replace(tiny_linear_model(), linear_path=SIZE // 2, blocks=1)


def tiny_config(**stage: Any) -> Config:
    """One stage, "only", trained in float32 on batches of four images with L2 as its only loss."""
    settings: dict[str, Any] = {
        "losses": {layer: {"l2": 1.0} for layer in LAYERS},
        "batch_size": 4,
        "steps": 6,
        "warmup": 1,
        "precision": "32-true",
    }
    return Config(
        name="tiny",
        model=tiny_model(),
        judges=JudgesConfig(identity="none", landmarks="none", perceptual=[]),
        logging=LoggingConfig(wandb="disabled"),
        stages={"only": StageConfig(**settings | stage)},
        run=["only"],
    )


def tiny_codec(
    model: ModelConfig | None = None, seed: int = 0, fineness: float = 1.0
) -> tuple[Codec, EntropyTransformer]:
    """A codec of untrained networks and the float version of its entropy model: pictures are meaningless, files valid.

    Weights have the precision of a saved file. `fineness` multiplies the gains, which gives more non-zero symbols.
    """
    model = model or tiny_model()
    torch.manual_seed(seed)
    networks = Networks(
        build.build_encoder(model), build.build_gain(model), build.build_heads(model), build.build_generator(model)
    )
    entropy = build.build_entropy(model)
    with torch.no_grad():
        for gain in networks.gain.parameters():
            gain.add_(math.log(fineness))
        networks.generator.mean_w.normal_()
        if isinstance(networks.heads, StyleHeads):
            for net in networks.heads.nets:  # initialised to zero, which would hide differences
                net.down.weight.normal_(std=0.1)
        elif isinstance(networks.heads, PictureHeads) and networks.heads.details is not None:
            networks.heads.details.change.weight.normal_(std=0.1)
    *parts, entropy = (as_stored(part).eval().requires_grad_(False) for part in (*networks, entropy))
    networks = Networks(*parts)
    return Codec.export(model, networks, entropy, "tiny"), entropy
