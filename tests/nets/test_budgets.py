"""Cost of the networks built from the configuration."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hsc.config import LayerConfig, ModelConfig
from hsc.nets import build


def larger_model() -> ModelConfig:
    """128×128: one more entry in both lists of channels, two more rows."""
    model = ModelConfig(layers={"basic": LayerConfig(3), "middle": LayerConfig(4), "enhanced": LayerConfig(5)})
    model.generator.channels = [*model.generator.channels, 24]
    model.encoder.channels = [16, *model.encoder.channels]
    return model


@pytest.mark.parametrize("model", [ModelConfig(), larger_model()], ids=["64", "128"])
def test_a_face_is_drawn_within_3_gmac_and_an_entropy_model_has_4_million_parameters_at_most(model: ModelConfig):
    generator, entropy = build.build_generator(model), build.build_entropy(model)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        generator.synthesis(torch.zeros(1, generator.num_rows, generator.w_dim))
    assert 0.05e9 < counter.get_total_flops() / 2 <= 3e9
    assert sum(parameter.numel() for parameter in entropy.parameters()) <= 4.0e6
