"""The weights that come with hsc: small, with model cards, and as documented."""

import re

import pytest
import torch
import torch.nn.functional as F

import hsc
from hsc.checkpoints import load_generator, weights_file
from hsc.data.examples import example_faces
from hsc.released import ASSETS, DEFAULT_MODEL, DEFAULT_PRIOR, find_weights, released_names

LARGEST_FILE, LARGEST_SUM = 16_000_000, 40_000_000


def test_assets_are_small_and_each_has_a_card() -> None:
    assert released_names() == sorted({DEFAULT_MODEL, DEFAULT_PRIOR})
    files = sorted(ASSETS.rglob("*.safetensors"))
    assert {file.stem for file in files} == {DEFAULT_MODEL, f"{DEFAULT_MODEL}.2", DEFAULT_PRIOR, "facemesh", "identity"}
    assert max(file.stat().st_size for file in files) <= LARGEST_FILE
    assert sum(file.stat().st_size for file in files) <= LARGEST_SUM
    for file in files:
        if file.name != f"{DEFAULT_MODEL}.2.safetensors":  # second part of another file, which has the card
            assert re.search(r"licen[cs]e", file.with_suffix(".md").read_text(), re.IGNORECASE), file.name


@pytest.fixture(scope="module")
def faces() -> torch.Tensor:
    """Four faces of the shipped prior."""
    prior = load_generator(find_weights(DEFAULT_PRIOR))
    with torch.inference_mode():
        drawn: torch.Tensor = prior(torch.randn(4, prior.z_dim, generator=torch.Generator().manual_seed(0)), 0.7)
        return drawn.clamp(-1, 1)


def test_the_shipped_codec_codes_faces_near_the_bytes_on_its_card() -> None:
    """Photographs are used, because faces of the prior are smoother and take fewer bytes."""
    codec = hsc.load()
    faces = list(map(str, example_faces()[::6]))
    on_card = codec.card["bytes_per_face"]
    assert len(on_card) == codec.num_qualities
    assert on_card == sorted(on_card)
    files = codec.compress(faces)
    mean = sum(map(len, files)) / len(files)
    assert 0.5 * on_card[codec.default_quality] < mean < 1.5 * on_card[codec.default_quality]


def test_every_layer_of_the_shipped_codec_brings_the_face_closer(faces: torch.Tensor) -> None:
    codec = hsc.load()
    files = codec.compress(faces, codec.num_qualities - 1)
    errors = [
        float((torch.stack(codec.decompress(files, layers=layers)) - faces).square().mean()) for layers in (1, 2, 3)
    ]
    assert errors == sorted(errors, reverse=True)


def test_judges_that_report_did_not_train_the_shipped_codec() -> None:
    for name in (DEFAULT_MODEL, DEFAULT_PRIOR):
        judges = weights_file.load(find_weights(name)).card["judges"]
        assert judges
        assert not {"dlib", "dlib68", "lpips.vgg"} & set(judges)


def test_the_shipped_codec_draws_two_sizes_and_the_prior_one() -> None:
    codec = hsc.load()
    assert (codec.size, codec.full_size) == (128, 1024)
    assert load_generator(find_weights(DEFAULT_PRIOR)).size == 128


def test_its_large_pictures_are_on_average_its_small_ones() -> None:
    codec = hsc.load()
    files = codec.compress(list(map(str, example_faces()[:2])))
    small = torch.stack(codec.decompress(files, native=True))
    large = torch.stack(codec.decompress(files, side=codec.full_size))
    errors = (F.avg_pool2d(large, codec.full_size // codec.size) - small).square().mean((1, 2, 3))
    assert (10 * torch.log10(4 / errors)).min() > 28  # dB


def test_pictures_of_the_shipped_codec_in_bfloat16_are_those_in_float32_to_eight_bits(
    faces: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = hsc.load()
    (file,) = codec.compress(faces[:1])
    precise, fast = [], []
    for pictures, native in ((precise, False), (fast, True)):
        monkeypatch.setattr("hsc.codec.computes_bfloat16", lambda kind, native=native: native)
        pictures += [codec.decompress(file), codec.decompress(file, side=codec.full_size)]
    rounding = (2 / 255) ** 2 / 12  # mean squared error of rounding to 8 bits
    for one, other, most in zip(precise, fast, (rounding, 1.5 * rounding), strict=True):
        assert 0 < float((one - other).square().mean()) < most
