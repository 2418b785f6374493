"""What networks built from the configuration cost, and that their shapes fit each other."""

import pytest
import torch
from tiny_model import ROWS, SIZE, tiny_model
from torch.utils.flop_counter import FlopCounterMode

from hsc.config import LayerConfig, ModelConfig
from hsc.nets import build


def larger_model() -> ModelConfig:
    """128×128: one more width in both lists of channels, two more rows."""
    model = ModelConfig(layers={"basic": LayerConfig(3), "middle": LayerConfig(4), "enhanced": LayerConfig(5)})
    model.generator.channels = [*model.generator.channels, 24]
    model.encoder.channels = [16, *model.encoder.channels]
    return model


@pytest.mark.parametrize("model", [ModelConfig(), larger_model()], ids=["64", "128"])
def test_generator_is_within_3_gmac(model: ModelConfig):
    generator = build.build_generator(model)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        generator.synthesis(torch.zeros(1, generator.num_rows, generator.w_dim))
    assert 0.05e9 < counter.get_total_flops() / 2 <= 3e9


@pytest.mark.parametrize("model", [ModelConfig(), larger_model()], ids=["64", "128"])
def test_entropy_model_is_within_its_parameters(model: ModelConfig):
    with torch.device("meta"):
        net = build.build_entropy(model)
    assert sum(parameter.numel() for parameter in net.parameters()) <= 4.0e6


def test_parts_of_a_model_fit_together():
    model = tiny_model()
    images, quality = torch.randn(2, 3, SIZE, SIZE), torch.tensor([0, 1])
    latents = build.build_encoder(model)(images)
    assert [layer.shape[1] for layer in latents] == list(ROWS)
    generator = build.build_generator(model)
    styles = generator.mean_w + build.build_heads(model)(latents, quality)
    assert styles.shape == (2, generator.num_rows, generator.w_dim)
    assert generator.synthesis(styles).shape == images.shape
    assert build.build_discriminator(model)(images).shape == (2,)
    assert [len(rows) for rows in build.build_entropy(model).layer_rows] == list(ROWS)
    assert build.build_gain(model).rows(quality, range(3)).shape == latents[0].shape
