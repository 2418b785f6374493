"""experiments/paper128.yaml and paper1024.yaml: every stage takes a step, on generated faces and narrow networks."""

from pathlib import Path

import pytest
import torch

import hsc
from hsc.checkpoints import save_generator
from hsc.cli import main
from hsc.config import load
from hsc.data.sample import Recipe, sample
from hsc.nets.mobile_stylegan import MobileStyleGAN

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
LOSSES = ("landmarks", "lpips", "lpips_128", "identity")  # whose judges are slow, or not at every hand


@pytest.mark.parametrize("size", [128, pytest.param(1024, marks=pytest.mark.slow)])
def test_the_recipe_trains_a_codec(size: int, tmp_path: Path) -> None:
    file = EXPERIMENTS / f"paper{size}.yaml"
    config = load([file])
    channels = [8] * len(config.model.generator.channels)
    prior, faces = tmp_path / "prior.safetensors", tmp_path / "faces.zip"
    torch.manual_seed(0)
    save_generator(prior, MobileStyleGAN(channels, 16, 16, 2).eval())
    sample(faces, 3, Recipe(), prior)
    data = f"{{path: '{faces}', train: 00000-00001, validation: 00002-00002, workers: 0}}"
    words = [
        f"runs={tmp_path / 'runs'}",
        f"model.generator={{channels: {channels}, z_dim: 16, w_dim: 16, mapping_layers: 2}}",
        f"model.encoder={{channels: {[8] * (len(channels) + 1)}, pyramid_channels: 16}}",
        f"stages.styles.init={prior}",
        f"defaults.data={data}",
        *(f"stages.{name}.data={data}" for name in config.run),
        *(f"stages.{name}.{key}" for name in config.run for key in ("steps=1", "batch_size=2", "validate_every=1")),
        *(f"defaults.losses.{layer}.{name}=0" for layer in config.model.layers for name in LOSSES),
        *(f"stages.joint.losses.{layer}.{name}=0" for layer in config.model.layers for name in LOSSES),
        "judges={identity: none, landmarks: none, perceptual: [psnr], distribution: none}",
        "logging.wandb=disabled",
    ]
    with pytest.raises(SystemExit) as end:
        main(["train", str(file), *words])
    assert not end.value.code
    codec = hsc.load(tmp_path / "runs" / file.stem)
    assert codec.size == size
    assert codec.layers == ("basic", "middle", "enhanced")
