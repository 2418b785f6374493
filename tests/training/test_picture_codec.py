"""A codec whose MobileStyleGAN draws the face in the linear path's picture: first the code, then the decoder alone."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny_model import LAYERS

import hsc

ROWS = (3, 4, 9)
MODEL = (
    *(f"model.layers.{layer}.rows={rows}" for layer, rows in zip(LAYERS, ROWS, strict=True)),
    "model.generator={architecture: mobilestylegan, channels: [8, 8, 8], z_dim: 8, w_dim: 8, mapping_layers: 1, "
    "input: const}",
    "model.picture=32",
)
STAGES = (
    "stages.basic={layers: [], train: [encoder, gain, entropy, heads], decode_with: picture}",
    "stages.joint.train=[heads, generator]",
    "run=[basic, joint]",
)


@pytest.fixture(scope="module")
def trained(new_experiment: Callable[[], Any], train_in_process: Callable[..., int]) -> Any:
    whole = new_experiment()
    said = whole.runs.with_name("said")
    assert train_in_process(whole, *MODEL, *STAGES, output=str(said)) == 0, said.read_text()
    return whole


def test_a_code_learns_without_the_generator_and_a_decoder_without_the_code(trained: Any) -> None:
    code, decoder = trained.weights("basic"), trained.weights("joint")
    changed = [name for name, value in code.items() if not torch.equal(value, decoder[name])]
    assert {name.split(".")[1] for name in changed} == {"heads", "generator"}
    assert not any(".eigen." in name for name in changed), "the encoder has them too: files would change"
    assert any(name.startswith("decoder.heads.modulation.") for name in changed)
    assert not any(code[name].any() for name in code if name.startswith("decoder.heads.modulation.features."))


def test_the_released_codec_codes(trained: Any) -> None:
    codec = hsc.load(trained.folder())
    files = codec.compress(torch.rand(2, 3, 40, 40) * 2 - 1)
    for layers in (1, 2, 3):
        assert [tuple(picture.shape) for picture in codec.decompress(files, layers)] == [(3, 40, 40)] * 2
