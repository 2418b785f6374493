"""The stage that trains the smaller size of a generator to give the same faces as the larger one."""

import zipfile
from pathlib import Path

import pytest
import torch
import yaml
from programs import run_hsc

from hsc.checkpoints import load_generator, save_generator
from hsc.data.archives import STYLES
from hsc.data.sample import Recipe, sample
from hsc.nets.mobile_stylegan import MobileStyleGAN

LARGE = [16, 16, 16, 16, 8]  # 128²; the first four entries give 64²
FACES = 24
TRUNCATION = 0.5  # untrained styles lead to contrasts beyond the range of an image


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator of 128×128 pixels whose colours stay within the range of an image."""
    path = tmp_path_factory.mktemp("weights") / "large.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = MobileStyleGAN(LARGE, z_dim=16, w_dim=16, mapping_layers=2)
        with torch.no_grad():
            for head in generator.synthesis_network.heads.values():
                head.weight.mul_(0.3)
                head.skip.mul_(0.3)
    save_generator(path, generator)
    return path


@pytest.fixture(scope="module")
def faces(large: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Faces from it, averaged to 64×64, with their W+."""
    path = tmp_path_factory.mktemp("faces") / "faces.zip"
    sample(path, FACES, Recipe(seed=1, truncation=(TRUNCATION, TRUNCATION)), large, size=64)
    return path


@pytest.fixture
def experiment(large: Path, faces: Path, tmp_path: Path) -> Path:
    content = {
        "name": "small",
        "runs": str(tmp_path / "runs"),
        "model": {
            "layers": {"basic": {"rows": 3}, "middle": {"rows": 4}, "enhanced": {"rows": 9}},
            "generator": {
                "architecture": "mobilestylegan",
                "channels": LARGE[:-1],
                "z_dim": 16,
                "w_dim": 16,
                "mapping_layers": 2,
                "input": "const",
            },
            "encoder": {"channels": [16] * 5, "pyramid_channels": 32},
        },
        "defaults": {
            "data": {"path": str(faces), "train": "00000-00019", "validation": "00020-00023", "flips": False},
            "precision": "32-true",
            "batch_size": 4,
            "log_every": 1,
        },
        "stages": {
            "head": {
                "module": "image_head",
                "init": str(large),
                "train": ["image_head", "generator"],
                "losses": {"enhanced": {"l1": 1}},
                "steps": 120,
                "learning_rate": 0.02,
                "warmup": 0,
                "ema_kimg": 0.005,
            }
        },
        "judges": {"identity": "none", "landmarks": "none", "perceptual": ["psnr"]},
        "logging": {"wandb": "disabled"},
        "run": ["head"],
    }
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return file


def test_a_smaller_size_learns_to_draw_the_same_faces(experiment: Path, large: Path, tmp_path: Path) -> None:
    assert run_hsc("train", experiment) == 0
    assert run_hsc("train", experiment, "name=short", "stages.head.steps=1") == 0
    runs, whole = tmp_path / "runs", load_generator(large)
    small, untaught = (load_generator(runs / name / "prior.safetensors") for name in ("small", "short"))
    assert (small.size, small.num_rows, whole.size) == (64, 16, 128)
    with torch.inference_mode():
        ws = whole.mapping(torch.randn(8, 16, generator=torch.Generator().manual_seed(2)), TRUNCATION)
        wanted = torch.nn.functional.avg_pool2d(whole.synthesis(ws), 2)
        learnt, fresh = ((generator.synthesis(ws) - wanted).abs().mean() for generator in (small, untaught))
    assert learnt < 0.5 * fresh

    ours, theirs = load_generator(runs / "small" / "head" / "weights.safetensors").state_dict(), whole.state_dict()
    kept = ("mapping_network", "synthesis_network.const", "synthesis_network.conv1", "synthesis_network.layers.0")
    changed = [
        name for name in ours if name in theirs and not torch.allclose(ours[name], theirs[name], rtol=2e-3, atol=1e-3)
    ]
    assert not any(name.startswith(kept) for name in changed)
    assert any(name.startswith("synthesis_network.layers.2.conv") for name in changed)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("defaults.data.flips=true", "a mirrored face does not match its W+"),
        ("stages.head.train=[heads]", "has no part 'heads'"),
        (
            "model.generator={architecture: stylegan2, channels: [8, 8, 8, 8, 8]}",
            "only a mobilestylegan has image heads",
        ),
    ],
)
def test_what_cannot_work_is_refused(
    word: str, said: str, experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["model.layers.enhanced.rows=3"] if "stylegan2," in word else []
    assert run_hsc("train", experiment, word, *rows) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_faces_without_styles_are_refused(
    experiment: Path, faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare, torn = tmp_path / "bare.zip", tmp_path / "torn.zip"
    with zipfile.ZipFile(faces) as source, zipfile.ZipFile(bare, "w") as without, zipfile.ZipFile(torn, "w") as damaged:
        for name in source.namelist():
            if name != STYLES:
                without.writestr(name, source.read(name))
            damaged.writestr(name, source.read(name) if name != STYLES else source.read(name)[:99])
    for path, said in ((bare, "holds no W+ of its images"), (torn, "is damaged, or not of these images")):
        assert run_hsc("train", experiment, f"defaults.data.path={path}") == 1
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert said in line
        assert "hsc data sample" in line
