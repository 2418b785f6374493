"""Recipes for large pictures run for a few steps, on generated faces, with narrow networks and no downloaded judges."""

from pathlib import Path

import pytest
import torch
from programs import run_hsc

import hsc
from hsc.checkpoints import load_generator, save_generator
from hsc.config import load
from hsc.data.sample import Recipe, sample
from hsc.images import to_pil
from hsc.nets.mobile_stylegan import MobileStyleGAN
from hsc.nets.stylegan2 import StyleGAN2

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
CHANNELS = [8] * 9
LOSSES = ("landmarks", "lpips", "lpips_128", "identity")  # their judges are slow or not always installed


@pytest.mark.slow
def test_ffhq1024_takes_a_few_steps(tmp_path: Path) -> None:
    torch.manual_seed(0)
    checkpoint, faces = tmp_path / "stylegan2.safetensors", tmp_path / "faces"
    save_generator(checkpoint, StyleGAN2(CHANNELS, mapping_layers=8).eval())
    generator = load_generator(checkpoint)
    assert (generator.size, generator.num_rows) == (1024, 18)
    faces.mkdir()
    for number in range(3):
        z = torch.randn(1, 512, generator=torch.Generator().manual_seed(number))
        to_pil(generator(z, 0.7)[0].clamp(-1, 1)).save(faces / f"{number:05d}.png")
    words = [
        f"runs={tmp_path / 'runs'}",
        f"defaults.data.path={faces}",
        "defaults.data.train=00000-00001",
        "defaults.data.validation=00002-00002",
        "defaults.data.workers=0",
        f"stages.inversion.init={checkpoint}",
        f"model.generator.channels={CHANNELS}",
        f"model.encoder.channels={CHANNELS}",
        "model.encoder.pyramid_channels=16",
        "defaults.batch_size=1",
        "defaults.prefixes=all",
        "stages.inversion.steps=2",
        "stages.joint.steps=2",
        *(f"defaults.losses.{layer}.lpips_128=0" for layer in ("basic", "middle", "enhanced")),
        "defaults.losses.enhanced.lpips=0",
        "judges={identity: none, landmarks: none, perceptual: [psnr], distribution: none}",
        "logging.wandb=disabled",
    ]
    assert run_hsc("train", EXPERIMENTS / "ffhq1024.yaml", *words) == 0
    assert (tmp_path / "runs" / "ffhq1024" / "codec.safetensors").is_file()


def test_the_published_system_trains_a_codec_and_then_its_full_size(tmp_path: Path) -> None:
    files = [EXPERIMENTS / "paper128.yaml", EXPERIMENTS / "paper1024.yaml"]
    config = load(files)
    prior, full, faces = tmp_path / "prior.safetensors", tmp_path / "full.safetensors", tmp_path / "faces.zip"
    channels, full_channels = (
        [8] * len(widths) for widths in (config.model.generator.channels, config.model.generator.full)
    )
    torch.manual_seed(0)
    save_generator(prior, MobileStyleGAN(channels, 16, 16, 2).eval())
    save_generator(full, MobileStyleGAN(full_channels, 16, 16, 2).eval())
    sample(faces, 3, Recipe(), prior)
    data = f"{{path: '{faces}', train: 00000-00001, validation: 00002-00002, workers: 0}}"

    def words(*stages: str) -> list[str]:
        return [
            f"runs={tmp_path / 'runs'}",
            f"model.generator={{channels: {channels}, z_dim: 16, w_dim: 16, mapping_layers: 2}}",
            f"model.encoder={{channels: {[8] * (len(channels) + 1)}, pyramid_channels: 16}}",
            f"defaults.data={data}",
            *(f"stages.{name}.data={data}" for name in stages),
            *(f"stages.{name}.{key}" for name in stages for key in ("steps=1", "batch_size=3", "validate_every=1")),
            *(f"defaults.losses.{layer}.{name}=0" for layer in config.model.layers for name in LOSSES),
            *(f"stages.{stages[-1]}.losses.{layer}.{name}=0" for layer in config.model.layers for name in LOSSES),
            "judges={identity: none, landmarks: none, perceptual: [psnr], distribution: none}",
            "logging.wandb=disabled",
        ]

    small = words("styles", "basic", "middle", "enhanced", "joint")
    assert run_hsc("train", files[0], *small, f"stages.styles.init={prior}") == 0
    starts = [f"stages.full.init={tmp_path / 'runs' / 'paper128'}", f"stages.full.init_full={full}"]
    large = [*words("full"), *starts, f"model.generator.full={full_channels}"]
    assert run_hsc("train", *files, *large) == 0
    codec = hsc.load(tmp_path / "runs" / "paper1024")
    assert (codec.size, codec.full_size) == (128, 1024)
    assert codec.layers == ("basic", "middle", "enhanced")
