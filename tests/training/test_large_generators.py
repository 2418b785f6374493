"""experiments/ffhq1024.yaml trains at 1024² on generated faces, with narrow networks and without judges to fetch."""

from pathlib import Path

import pytest
import torch

from hsc.checkpoints import load_generator, save_generator
from hsc.cli import main
from hsc.images import to_pil
from hsc.nets.stylegan2 import StyleGAN2

FILE = Path(__file__).parents[2] / "experiments" / "ffhq1024.yaml"
CHANNELS = [8] * 9


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
        "stages.inversion.steps=2",
        "stages.joint.steps=2",
        *(f"defaults.losses.{layer}.lpips_128=0" for layer in ("basic", "middle", "enhanced")),
        "defaults.losses.enhanced.lpips=0",
        "judges={identity: none, landmarks: none, perceptual: [psnr], distribution: none}",
        "logging.wandb=disabled",
    ]
    with pytest.raises(SystemExit) as end:
        main(["train", str(FILE), *words])
    assert not end.value.code
    assert (tmp_path / "runs" / "ffhq1024" / "codec.safetensors").is_file()
