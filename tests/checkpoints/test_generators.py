"""Generators of every layout are imported exactly and exported so that their own classes load them; wrong files are
refused with the reason."""

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from nvlabs_pickle import network_pickle, nvlabs_state
from plain_stylegan2 import PlainGenerator
from torch import Tensor

from hsc.checkpoints import (
    LAYOUTS,
    export_generator,
    import_generator,
    load_generator,
    save_generator,
    weights_file,
)
from hsc.errors import HscError
from hsc.nets.stylegan2 import StyleGAN2

CONFIGS = [
    {"channels": [8, 8, 6, 5], "z_dim": 16, "w_dim": 16, "mapping_layers": 3},
    {"channels": [4, 7, 3, 9, 2], "z_dim": 12, "w_dim": 12, "mapping_layers": 1},
    {"channels": [6, 6, 6, 6, 4, 2], "z_dim": 8, "w_dim": 8, "mapping_layers": 9},
]


def random_generator(seed: int = 0, **config: Any) -> StyleGAN2:
    """A generator with noise added to every parameter, so that none has its initial value."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator = StyleGAN2(**(CONFIGS[0] | config)).eval()
        for name, value in generator.state_dict().items():
            if not name.endswith("resample_filter"):
                value.add_(0.3 * torch.randn_like(value))
    return generator


def assert_equal(one: StyleGAN2, other: StyleGAN2) -> None:
    expected = other.state_dict()
    assert one.state_dict().keys() == expected.keys()
    for name, value in one.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, expected[name]), name


@pytest.fixture(params=range(len(CONFIGS)))
def generator(request: pytest.FixtureRequest) -> StyleGAN2:
    return random_generator(request.param, **CONFIGS[request.param])


@pytest.fixture
def saved(generator: StyleGAN2, tmp_path: Path) -> Path:
    save_generator(tmp_path / "hsc.safetensors", generator, {"licence": "CC0-1.0"})
    return tmp_path / "hsc.safetensors"


@pytest.mark.parametrize("layout", ["nvlabs-state", "rosinality", "psp", "pkl"])
def test_reference_implementation_is_reproduced(shared_dir: Path, tmp_path: Path, layout: str) -> None:
    fixtures = shared_dir / "fixtures"
    path = fixtures / f"stylegan2-64-{layout}.pt"
    if layout == "pkl":
        path = tmp_path / "network-snapshot.pkl"
        state = torch.load(fixtures / "stylegan2-64-nvlabs-state.pt", weights_only=True)
        path.write_bytes(network_pickle(state))
    golden = {key: torch.from_numpy(value) for key, value in np.load(fixtures / "stylegan2-64-golden.npz").items()}
    generator = load_generator(path)
    with torch.no_grad():
        found = {
            "w": generator.mapping(golden["z"]),
            "w_psi07": generator.mapping(golden["z"], truncation=0.7),
            "image_noise_const": generator.synthesis(golden["ws"]),
        }
    for name, value in found.items():
        torch.testing.assert_close(
            value, golden[name], atol=1e-4, rtol=0, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_hsc_file_round_trip(generator: StyleGAN2, saved: Path) -> None:
    loaded, file = load_generator(saved), weights_file.load(saved, "generator")
    assert_equal(loaded, generator)
    assert not loaded.training
    assert (loaded.num_rows, loaded.w_dim, loaded.size) == (generator.num_rows, generator.w_dim, generator.size)
    assert file.card == {"licence": "CC0-1.0"}
    StyleGAN2(**file.config).load_state_dict(file.tensors, strict=True)
    save_generator(saved, loaded.half())
    assert_equal(load_generator(saved), generator.half().float())


def test_generator_beside_other_weights(generator: StyleGAN2, tmp_path: Path) -> None:
    tensors = {f"decoder.generator.{key}": value for key, value in generator.state_dict().items()}
    weights_file.save(tmp_path / "codec", tensors | {"encoder.weight": torch.ones(2)}, "codec", {})
    assert_equal(load_generator(tmp_path / "codec"), generator)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_export_and_import_are_lossless(generator: StyleGAN2, saved: Path, tmp_path: Path, layout: str) -> None:
    exported, back = tmp_path / "theirs.pt", tmp_path / "back.safetensors"
    summary = export_generator(saved, exported, layout)
    assert f"{generator.size}×{generator.size}" in summary
    assert layout in import_generator(exported, back).lower()
    assert_equal(load_generator(back), generator)
    card = weights_file.load(back).card
    assert card["source"] == "theirs.pt"
    assert len(card["sha256"]) == 64


@pytest.mark.parametrize("layout", ["rosinality", "psp"])
def test_export_loads_strictly_and_draws_the_same(
    generator: StyleGAN2, saved: Path, tmp_path: Path, layout: str
) -> None:
    export_generator(saved, tmp_path / "theirs.pt", layout)
    content = torch.load(tmp_path / "theirs.pt", weights_only=True)
    channels = weights_file.load(saved).config["channels"]
    depth = generator.mapping_network.num_layers
    if layout == "psp":
        network = {key.removeprefix("decoder."): value for key, value in content["state_dict"].items()}
        assert content["opts"]["output_size"] == generator.size
        assert torch.equal(content["latent_avg"], generator.mean_w.expand(generator.num_rows, -1))
    else:
        network = content["g_ema"]
        assert torch.equal(content["latent_avg"], generator.mean_w)
    plain = PlainGenerator(channels, generator.w_dim, depth)
    plain.load_state_dict(network, strict=True)
    z = torch.randn(3, generator.w_dim, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        ws = generator.mapping(z) + 0.1 * torch.randn(
            3, generator.num_rows, generator.w_dim, generator=torch.Generator().manual_seed(6)
        )
        torch.testing.assert_close(plain.style(z), generator.mapping(z)[:, 0], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(plain(ws), generator.synthesis(ws), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("protocol", [2, 5])
def test_nvlabs_snapshot(generator: StyleGAN2, tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "network-snapshot-000200.pkl"
    path.write_bytes(network_pickle(nvlabs_state(generator), protocol))
    assert_equal(load_generator(path), generator)
    assert not hasattr(__import__("builtins"), "hsc_ran_source")


def test_training_checkpoint_of_rosinality_in_the_old_format(tmp_path: Path) -> None:
    generator = random_generator()
    content: dict[str, Any] = {"g_ema": rosinality_state(generator, tmp_path), "latent_avg": generator.mean_w}
    content |= {"g": {"other": torch.ones(1)}, "args": argparse.Namespace(size=32), "ada_aug_p": 0.25}
    torch.save(content, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert_equal(load_generator(tmp_path / "old.pt"), generator)


def rosinality_state(generator: StyleGAN2, folder: Path) -> dict[str, torch.Tensor]:
    save_generator(folder / "hsc", generator)
    export_generator(folder / "hsc", folder / "exported.pt", "rosinality")
    return torch.load(folder / "exported.pt", weights_only=True)["g_ema"]


def test_without_noise_constants_they_are_drawn_from_a_fixed_seed_and_the_line_says_so(tmp_path: Path) -> None:
    generator = random_generator()
    state = rosinality_state(generator, tmp_path)
    torch.save({"g_ema": {k: v for k, v in state.items() if not k.startswith("noises.")}}, tmp_path / "bare.pt")
    before = torch.get_rng_state()
    line = import_generator(tmp_path / "bare.pt", tmp_path / "one.safetensors")
    import_generator(tmp_path / "bare.pt", tmp_path / "two.safetensors")
    assert "without noise constants of its own: drawn from seed 0" in line
    assert "seed 0" in weights_file.describe(tmp_path / "one.safetensors").card["note"]
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    assert torch.equal(before, torch.get_rng_state())
    loaded = load_generator(tmp_path / "one.safetensors")
    for (name, ours), theirs in zip(loaded.named_parameters(), generator.parameters(), strict=True):
        assert torch.equal(ours, theirs), name
    constants = [buffer for name, buffer in loaded.named_buffers() if name.endswith("noise_const")]
    assert constants
    assert all(bool(constant.any()) for constant in constants)


def _prefixed(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + key: value for key, value in state.items()}


@pytest.mark.parametrize("key", ["g_ema", "g", "generator", "params_ema", "G_ema", "G", "state_dict", "model"])
def test_a_generator_is_found_under_the_names_that_programs_give_it(tmp_path: Path, key: str) -> None:
    generator = random_generator()
    state, beside = rosinality_state(generator, tmp_path), {"iter": 3, "d": {"x": torch.ones(1)}}
    for prefix in ("", "module.", "_orig_mod.", "module._orig_mod."):
        wrapped = {key: _prefixed(state, prefix), "latent_avg": generator.mean_w}
        torch.save(wrapped | beside, tmp_path / "x.pt")
        assert_equal(load_generator(tmp_path / "x.pt"), generator)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": {"g_ema": state}},
        lambda state: {"state_dict": _prefixed(state, "g_ema.") | _prefixed({"input.input": torch.ones(1)}, "g.")},
        lambda state: {"state_dict": _prefixed(state, "netG.") | {"netD.weight": torch.ones(1)}},
        lambda state: {"g": {"input.input": torch.ones(1)}, "g_ema": state},
        lambda state: _prefixed(state, "module."),
        lambda state: {"G_ema": {key: np.array(value.numpy(), order="F") for key, value in state.items()}},
    ],
    ids=["nested", "two in one", "beside another", "averaged first", "bare", "of numpy"],
)
def test_wrappers_around_a_generator_are_seen_through(tmp_path: Path, wrap: Callable[[dict], dict]) -> None:
    generator = random_generator()
    torch.save(wrap(nvlabs_state(generator)) | {"iter": 1}, tmp_path / "x.pt")
    assert_equal(load_generator(tmp_path / "x.pt"), generator)


def test_unsaid_mean_is_measured_without_touching_the_global_random_numbers(tmp_path: Path) -> None:
    generator = random_generator()
    state = nvlabs_state(generator)
    del state["mapping.w_avg"]
    torch.save(state, tmp_path / "bare.pt")
    torch.manual_seed(3)
    loaded = load_generator(tmp_path / "bare.pt")
    after = torch.rand(4)
    torch.manual_seed(3)
    assert torch.equal(after, torch.rand(4))
    with torch.no_grad():
        many = generator.mapping_network(torch.randn(50_000, 16, generator=torch.Generator().manual_seed(9)))
    standard_error = many.std(0) / 100
    assert bool(((loaded.mean_w - many.mean(0)).abs() < 6 * standard_error).all())


def test_z_of_another_length_than_w(tmp_path: Path) -> None:
    generator = random_generator(z_dim=10, w_dim=16)
    save_generator(tmp_path / "hsc", generator)
    export_generator(tmp_path / "hsc", tmp_path / "state.pt", "nvlabs")
    assert_equal(load_generator(tmp_path / "state.pt"), generator)
    with pytest.raises(HscError, match="z has 10 numbers and w 16; only 'nvlabs' can hold that"):
        export_generator(tmp_path / "hsc", tmp_path / "no.pt", "rosinality")


def test_style_driven_input_stays_in_hsc(tmp_path: Path) -> None:
    generator = random_generator(input="style")
    save_generator(tmp_path / "hsc", generator)
    assert_equal(load_generator(tmp_path / "hsc"), generator)
    with pytest.raises(HscError, match="4×4 input follows the style"):
        export_generator(tmp_path / "hsc", tmp_path / "no.pt", "psp")
    assert not (tmp_path / "no.pt").exists()


def test_summary_names_the_constructor(tmp_path: Path) -> None:
    halved = random_generator(channels=[512, 512, 512, 512, 256], mapping_layers=1, z_dim=4, w_dim=4)
    save_generator(tmp_path / "hsc", halved)
    summary = export_generator(tmp_path / "hsc", tmp_path / "out.pt", "rosinality")
    assert "Generator(64, 4, 1, channel_multiplier=1)" in summary
    save_generator(tmp_path / "small", random_generator())
    summary = export_generator(tmp_path / "small", tmp_path / "out.pt", "rosinality")
    assert "{4: 8, 8: 8, 16: 6, 32: 5}" in summary


B8 = "synthesis.b8"
REFUSALS = [  # replacements of some tensors (None removes one), and the error message
    ({"synthesis.b16.conv0.affine.bias": None}, "it lacks 1 tensors, such as 'synthesis.b16.conv0.affine.bias'"),
    ({f"{B8}.skip.weight": torch.zeros(1)}, f"it has a surplus of 1 tensors, such as '{B8}.skip.weight'"),
    ({"\nDone.\x1b[2J": torch.zeros(1)}, r"such as '\\nDone.\\x1b"),
    (
        {f"{B8}.conv0.weight": torch.zeros(9, 9, 3, 3)},
        rf"{B8}.conv0.weight has the shape \[9, 9, 3, 3\] where \[8, 8, 3",
    ),
    ({"mapping.embed.weight": torch.zeros(4, 4)}, "a class-conditional generator"),
    ({f"{B8}.resample_filter": torch.ones(4, 4) / 16}, f"'{B8}.resample_filter' is not the filter"),
    ({f"{B8}.conv1.bias": torch.zeros(8, dtype=torch.int64)}, f"{B8}.conv1.bias holds torch.int64"),
    ({"mapping.fc0.weight": None}, "without its first layers"),
    ({"synthesis.b4.conv1.weight": torch.tensor(1.0)}, "without its first layers"),
    ({"synthesis.b4.const": None, "synthesis.input.freqs": torch.zeros(4, 2)}, "a StyleGAN3 generator"),
    ({"synthesis.b4.const": None, "features.0.weight": torch.zeros(1)}, "contains no StyleGAN2 generator"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSALS, ids=[message[:30] for _, message in REFUSALS])
@pytest.mark.parametrize("pickled", [False, True], ids=["pt", "pkl"])
def test_wrong_content_is_named(tmp_path: Path, changes: dict[str, Tensor | None], message: str, pickled: bool) -> None:
    state = nvlabs_state(random_generator()) | changes
    state = {name: value for name, value in state.items() if value is not None}
    path = tmp_path / "file"
    if pickled:
        path.write_bytes(network_pickle(state))
    else:
        torch.save({"G_ema": state}, path)
    with pytest.raises(HscError, match=message) as caught:
        load_generator(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": None}, {"g_ema": 3}, torch.zeros(2), None])
def test_checkpoints_of_something_else(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(HscError, match="contains no StyleGAN2 generator"):
        load_generator(tmp_path / "x.pt")


def test_a_tensor_of_rosinality_of_an_odd_shape_or_absent_is_named(tmp_path: Path) -> None:
    state = rosinality_state(random_generator(), tmp_path)
    torch.save({"g_ema": state | {"to_rgbs.0.bias": torch.zeros(2, 3, 1, 1)}}, tmp_path / "x.pt")
    with pytest.raises(HscError, match=r"to_rgbs.0.bias has the shape \[2, 3, 1, 1\]"):
        load_generator(tmp_path / "x.pt")
    del state["noises.noise_1"]
    torch.save({"g_ema": state}, tmp_path / "x.pt")
    with pytest.raises(HscError, match="noise_const"):
        load_generator(tmp_path / "x.pt")


def test_safetensors_of_another_kind_and_of_others(tmp_path: Path) -> None:
    weights_file.save(tmp_path / "codec", {"a": torch.zeros(1)}, "codec", {})
    with pytest.raises(HscError, match="kind 'codec' without a generator"):
        load_generator(tmp_path / "codec")
    weights_file.save(tmp_path / "hollow", {"a": torch.zeros(1)}, "generator", {})
    with pytest.raises(HscError, match="without its first layers"):
        load_generator(tmp_path / "hollow")
    safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "other")
    with pytest.raises(HscError, match="not written by hsc"):
        load_generator(tmp_path / "other")


def test_unknown_layout(tmp_path: Path) -> None:
    with pytest.raises(HscError, match="unknown layout 'tf'; choose one of rosinality, psp, nvlabs"):
        export_generator(tmp_path / "any", tmp_path / "out", "tf")


LARGEST = """
import resource, sys, torch
from hsc.checkpoints import load_generator
generator = load_generator(sys.argv[1])
with torch.inference_mode():
    ws = generator.mapping(torch.randn(1, 512, generator=torch.Generator().manual_seed(0)), truncation=0.7)
    image = generator.synthesis(ws)
assert image.shape == (1, 3, 1024, 1024) and bool(image.isfinite().all()) and float(image.std()) > 0
print(generator.num_rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_config_f_at_1024_in_bounded_memory(tmp_path: Path) -> None:
    """The largest published generator: 30 million parameters (120 MB), plus a few activations of 134 MB each."""
    channels = [512] * 5 + [256, 128, 64, 32]
    generator = random_generator(channels=channels, z_dim=512, w_dim=512, mapping_layers=8)
    torch.save({"G_ema": nvlabs_state(generator)}, tmp_path / "ffhq.pt")
    del generator
    done = subprocess.run(
        [sys.executable, "-c", LARGEST, tmp_path / "ffhq.pt"], capture_output=True, text=True, check=True
    )
    rows, peak_kib = map(int, done.stdout.split())
    assert rows == 18
    assert peak_kib < 2.5 * 2**20
