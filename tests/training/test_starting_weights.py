"""The parts that a stage loads from the weights it starts from."""

from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from tiny_model import tiny_config, tiny_linear_model

from hsc.checkpoints import save_generator, weights_file
from hsc.errors import HscError
from hsc.modules.codec import CodecModule
from hsc.training.eigenfaces import holds_eigenfaces
from hsc.training.weights import KIND, load_start, save_stage


def module(dim: int = 8, lambdas: int = 2, channels: int = 16) -> CodecModule:
    config = tiny_config()
    config.model.lambdas = [0.1 / 2**quality for quality in range(lambdas)]
    config.model.generator.channels = [channels] * 4
    for layer in config.model.layers.values():
        layer.dim = dim
    return CodecModule(config, config.stages["only"], {})


def saved(path: Path, kind: str) -> dict[str, torch.Tensor]:
    """Write a stage's networks as weights of this kind; returns them."""
    torch.manual_seed(1)
    own = module()
    tensors = {name: value for name, value in own.state_dict().items() if name.startswith(("encoder.", "decoder."))}
    weights_file.save(path, tensors, kind, asdict(tiny_config().model))
    return tensors


def test_a_prior_serves_a_codec_of_other_latents_and_qualities(tmp_path: Path) -> None:
    held = module().decoder.generator
    save_generator(tmp_path / "prior.safetensors", held)
    codec = module(dim=12, lambdas=5)
    fresh = load_start(codec, tmp_path / "prior.safetensors")
    assert {"encoder.net", "decoder.heads"} <= set(fresh)
    assert "decoder.generator" not in fresh
    after = codec.decoder.generator.state_dict()
    assert all(torch.equal(after[name], value) for name, value in held.state_dict().items())


@pytest.mark.parametrize("changed", [{"channels": 24}, {"dim": 12}, {"lambdas": 5}])
def test_another_generator_or_the_weights_of_another_codec_are_refused(tmp_path: Path, changed) -> None:
    saved(tmp_path / "held.safetensors", KIND)
    with pytest.raises(HscError, match=r"held\.safetensors: .* there and .* in this model; make the model's config"):
        load_start(module(**changed), tmp_path / "held.safetensors")


def draws_from_pictures(dim: int, lambdas: int = 2) -> CodecModule:
    config = tiny_config()
    config.model = tiny_linear_model()
    config.model.lambdas = [0.1 / 2**quality for quality in range(lambdas)]
    for layer in config.model.layers.values():
        layer.dim = dim
    return CodecModule(config, config.stages["only"], {})


def test_a_decoder_that_draws_from_pictures_serves_another_code(tmp_path: Path) -> None:
    path = tmp_path / "codec.safetensors"
    first, second = draws_from_pictures(3), draws_from_pictures(5)
    save_stage(path, first, asdict(tiny_config().model))
    assert "encoder.net" in load_start(second, path)
    assert not holds_eigenfaces(path, second)
    assert holds_eigenfaces(path, first)
    held, own = (module.decoder.heads.modulation.state_dict() for module in (first, second))
    assert all(torch.equal(own[name], value) for name, value in held.items())
    with pytest.raises(HscError, match=r"mend\.weight is \(2, 3\) there and \(3, 3\) in this model"):
        load_start(draws_from_pictures(3, lambdas=3), path)


def test_a_later_stage_goes_on_with_the_discriminator(tmp_path: Path) -> None:
    """A stage's weights include it; a stage that trains no discriminator ignores it."""
    path, train = tmp_path / "weights.safetensors", ["heads", "discriminator"]
    first, second = (CodecModule(config, config.stages["only"], {}) for config in [tiny_config(train=train)] * 2)
    save_stage(path, first, asdict(tiny_config().model))
    assert load_start(second, path) == []
    held = first.decoder.discriminator.state_dict()
    assert all(torch.equal(value, held[name]) for name, value in second.decoder.discriminator.state_dict().items())
    assert load_start(module(), path) == []
