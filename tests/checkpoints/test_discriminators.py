"""Discriminators in training checkpoints are imported with the generator for fine-tuning; other kinds are skipped."""

from pathlib import Path

import pytest
import torch
from nvlabs_pickle import network_pickle, nvlabs_state
from torch import Tensor

from hsc.checkpoints import import_generator, load_discriminator, load_generator, save_generator, weights_file
from hsc.checkpoints.layouts import to_rosinality
from hsc.nets.discriminator import Discriminator
from hsc.nets.stylegan2 import StyleGAN2

CHANNELS = [8, 6, 5, 4]
# hsc's names → theirs.
NVLABS = {"from_rgb": "b32.fromrgb", "conv": "b4.conv", "hidden": "b4.fc", "out": "b4.out"} | {
    f"blocks.{place}.{layer}": f"b{32 // 2**place}.{layer}"
    for place in range(3)
    for layer in ("conv0", "conv1", "skip")
}
ROSINALITY = {
    "from_rgb.weight": "convs.0.0.weight",
    "from_rgb.bias": "convs.0.1.bias",
    "conv.weight": "final_conv.0.weight",
    "conv.bias": "final_conv.1.bias",
    "hidden": "final_linear.0",
    "out": "final_linear.1",
} | {
    f"blocks.{place}.{ours}": f"convs.{place + 1}.{theirs}"
    for place in range(3)
    for ours, theirs in (
        ("conv0.weight", "conv1.0.weight"),
        ("conv0.bias", "conv1.1.bias"),
        ("conv1.weight", "conv2.1.weight"),
        ("conv1.bias", "conv2.2.bias"),
        ("skip.weight", "skip.1.weight"),
    )
}


@pytest.fixture(scope="module")
def discriminator() -> Discriminator:
    torch.manual_seed(1)
    net = Discriminator(CHANNELS)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    return net


@pytest.fixture(scope="module")
def generator() -> StyleGAN2:
    torch.manual_seed(2)
    return StyleGAN2(CHANNELS, z_dim=8, w_dim=8, mapping_layers=2).eval()


def renamed(net: Discriminator, names: dict[str, str]) -> dict[str, Tensor]:
    """The weights, without the filters, renamed by their full name if it is listed, and by their module's if not."""
    state = {}
    for name, value in net.state_dict().items():
        if not name.endswith(".blur"):
            part = name if name in names else name.rpartition(".")[0]
            state[names[part] + name.removeprefix(part)] = value
    return state


def nvlabs(net: Discriminator) -> dict[str, Tensor]:
    filters = {f"b{size}.resample_filter": net.blocks[0].blur for size in (32, 16, 8)}
    return renamed(net, NVLABS) | filters


@pytest.fixture
def snapshot(generator: StyleGAN2, discriminator: Discriminator, tmp_path: Path) -> Path:
    state = nvlabs_state(generator)
    (tmp_path / "snapshot.pkl").write_bytes(network_pickle(state, discriminator=nvlabs(discriminator)))
    return tmp_path / "snapshot.pkl"


def assert_same(state: dict[str, Tensor], net: Discriminator) -> None:
    expected = net.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in state.items())


def test_nvlabs_snapshot(snapshot: Path, discriminator: Discriminator) -> None:
    assert_same(load_discriminator(snapshot), discriminator)


def test_rosinality_training_checkpoint(generator: StyleGAN2, discriminator: Discriminator, tmp_path: Path) -> None:
    state = nvlabs_state(generator)
    blurs = (f"convs.{block}.{blur}.kernel" for block in (1, 2, 3) for blur in ("conv2.0", "skip.0"))
    filters = dict.fromkeys(blurs, discriminator.blocks[0].blur)
    theirs = renamed(discriminator, ROSINALITY) | filters
    mean_w = state.pop("mapping.w_avg")
    g_ema = to_rosinality(state, len(CHANNELS))
    torch.save({"g": g_ema, "d": theirs, "g_ema": g_ema, "latent_avg": mean_w}, tmp_path / "100000.pt")
    assert_same(load_discriminator(tmp_path / "100000.pt"), discriminator)
    load_generator(tmp_path / "100000.pt")


def test_import_keeps_it_beside_the_generator(snapshot: Path, discriminator: Discriminator, tmp_path: Path) -> None:
    assert "with its discriminator" in import_generator(snapshot, tmp_path / "prior.safetensors")
    assert_same(load_discriminator(tmp_path / "prior.safetensors"), discriminator)
    both = (load_generator(path).state_dict() for path in (snapshot, tmp_path / "prior.safetensors"))
    first, second = both
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    config = weights_file.load(tmp_path / "prior.safetensors").config
    assert config["channels"] == CHANNELS


@pytest.mark.parametrize("spoil", ["b32.skip.weight", "b8.conv0.bias", "b4.out.weight", "surplus", "filter", "shape"])
def test_another_discriminator_is_left_behind(
    generator: StyleGAN2, discriminator: Discriminator, tmp_path: Path, spoil: str
) -> None:
    theirs = nvlabs(discriminator)
    if spoil == "surplus":
        theirs["b16.fromrgb.weight"] = torch.zeros(6, 3, 1, 1)
    elif spoil == "filter":
        theirs["b16.resample_filter"] = torch.ones(4, 4) / 16
    elif spoil == "shape":
        theirs["b4.out.weight"] = torch.zeros(10, 8)
    else:
        del theirs[spoil]
    state = nvlabs_state(generator)
    (tmp_path / "snapshot.pkl").write_bytes(network_pickle(state, discriminator=theirs))
    assert load_discriminator(tmp_path / "snapshot.pkl") == {}
    assert "with its discriminator" not in import_generator(tmp_path / "snapshot.pkl", tmp_path / "prior.safetensors")
    load_generator(tmp_path / "prior.safetensors")


def test_a_generator_alone_has_none(generator: StyleGAN2, tmp_path: Path) -> None:
    save_generator(tmp_path / "hsc.safetensors", generator)
    assert load_discriminator(tmp_path / "hsc.safetensors") == {}
