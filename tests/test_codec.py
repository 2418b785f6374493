"""Faces to files and back: symbols survive, prefixes decode, and damage is reported."""

import re

import pytest
import torch
from tiny_model import LAYERS, SIZE, tiny_codec, tiny_linear_model, tiny_model, tiny_model_with_blocks

from hsc.codec import Codec, Coded, DamagedFile
from hsc.coding.container import read
from hsc.config import LayerConfig
from hsc.errors import HscError
from hsc.images import resize
from hsc.modules.entropy import EntropyModule


@pytest.fixture(scope="module", params=[tiny_model, tiny_linear_model, tiny_model_with_blocks])
def codec(request: pytest.FixtureRequest) -> Codec:
    return tiny_codec(request.param(), fineness=3.0)[0]


@pytest.fixture(scope="module")
def one_codec() -> Codec:
    return tiny_codec(fineness=3.0)[0]


def faces(n: int = 5, side: int = SIZE) -> torch.Tensor:
    """Smooth pictures with some detail, [n, 3, side, side]."""
    random = torch.Generator().manual_seed(n)
    coarse = torch.rand(n, 3, 6, 6, generator=random) * 2 - 1
    return (resize(coarse, side) + 0.1 * torch.randn(n, 3, side, side, generator=random)).clamp(-1, 1)


def coded_faces(codec: Codec, count: int = 5, quality: float | None = None) -> Coded:
    return codec.encode(codec.analyse(faces(count)), quality)


def shown(codec: Codec, coded: Coded, layers: int) -> torch.Tensor:
    decoded = codec.decode(coded, layers)
    return codec.synthesise(decoded.latents, decoded.quality).clamp(-1, 1)


@pytest.mark.parametrize("quality", [0, 0.3, 1])
def test_decoder_reads_what_the_encoder_wrote(codec: Codec, quality: int):
    coded = coded_faces(codec, 5, quality)
    assert all(symbols.abs().max() >= 2 for symbols in coded.symbols)
    for layers in (1, 2, 3):
        known = codec.decode(coded, layers)
        for image, data in enumerate(coded.files):
            alone = codec.decode([data], layers)
            for sent, read_back in zip(known.latents, alone.latents, strict=True):
                assert torch.equal(sent[image : image + 1], read_back)


@pytest.mark.usefixtures("in_float32")
def test_pictures_are_those_the_encoder_expects(codec: Codec):
    coded, before = coded_faces(codec), torch.zeros(5, 3, SIZE, SIZE)
    for layers in (1, 2, 3):
        decompressed = torch.stack(codec.decompress(coded.files, layers))
        torch.testing.assert_close(decompressed, shown(codec, coded, layers), rtol=1e-4, atol=1e-4)
        assert not torch.allclose(decompressed, before, atol=1e-3), "each layer changes the picture"
        before = decompressed


@pytest.mark.usefixtures("in_float32")
def test_decoding_does_not_depend_on_the_batch(codec: Codec):
    """Files of different lengths and qualities decode together as they do alone."""
    files = codec.compress(faces(3), 0) + codec.compress(faces(2), 1, layers=1) + codec.compress(faces(3), 1, layers=2)
    together = codec.decompress(files)
    for data, image in zip(files, together, strict=True):
        alone = codec.decompress([data])[0]
        torch.testing.assert_close(image, alone, rtol=1e-4, atol=1e-4)
    all_of_them = codec.decode(files)
    assert all_of_them.held == [3, 3, 3, 1, 1, 2, 2, 2]
    for index, data in enumerate(files):
        for own, together in zip(codec.decode([data]).latents, all_of_them.latents, strict=True):
            assert torch.equal(own[0], together[index])


def test_fewer_layers_are_a_byte_prefix(codec: Codec):
    coded = coded_faces(codec, 4, 1)
    for layers in (1, 2, 3):
        shorter = codec.compress(faces(4), 1, layers)
        for data, whole in zip(shorter, coded.files, strict=True):
            assert whole.startswith(data)
        assert [len(data) for data in shorter] == coded.prefix_lengths[:, layers - 1].tolist()
    lengths = coded.prefix_lengths
    assert (lengths[:, 1:] > lengths[:, :-1]).all()


@pytest.mark.parametrize("side", [SIZE, 50, 1, 2041])
def test_size_in_the_file(one_codec: Codec, side: int):
    (data,) = one_codec.compress(faces(1, side))
    assert one_codec.decompress([data])[0].shape == (3, side, side)
    assert one_codec.decompress([data], native=True)[0].shape == (3, SIZE, SIZE)


def test_bytes_are_what_the_estimate_says(one_codec: Codec):
    """Within 2 % and 15 bytes, whether estimated from the table or by the float network in training."""
    model = tiny_model()
    model.layers = {name: LayerConfig(layer.rows, 48) for name, layer in model.layers.items()}
    codec, entropy = tiny_codec(model, fineness=3.0)
    coded = coded_faces(codec, 16)
    real = torch.tensor([len(data) for data in coded.files], dtype=torch.float64).mean()
    assert real > 150
    ideal = coded.bits(3).mean() / 8
    assert ideal < real <= 1.01 * ideal + 15
    training = EntropyModule(model)
    training.net.load_state_dict(entropy.state_dict())
    training.gain.load_state_dict(codec.networks.gain.state_dict())
    with torch.no_grad():
        estimated = training(codec.networks.encoder(faces(16)), coded.quality, "round").row_bits.double().sum(1) / 8
    assert abs(float(estimated.mean() - real)) <= 0.02 * real + 15
    assert float(estimated.mean()) == pytest.approx(float(ideal), rel=0.02)
    assert one_codec.model_id != codec.model_id


def test_every_truncation_decodes_what_is_whole_or_says_so(one_codec: Codec):
    (data,) = one_codec.compress(faces(1), 1)
    ends = coded_faces(one_codec, 1, 1).prefix_lengths[0].tolist()
    pictures = [one_codec.decompress([data], layers)[0] for layers in (1, 2, 3)]
    for length in range(len(data)):
        torn = data[:length]
        whole = sum(end <= length for end in ends)
        if whole == 0:
            with pytest.raises(HscError, match=r"empty|header|first layer|no layer"):
                one_codec.decompress([torn])
            continue
        (damage,) = one_codec.decode([torn]).damage
        if length in ends:
            assert damage is None
            (seen,) = one_codec.decompress([torn], strict=True)
        else:
            assert f"layer {whole + 1}" in damage
            with pytest.raises(HscError, match=f"layer {whole + 1}"):
                one_codec.decompress([torn], strict=True)
            with pytest.warns(DamagedFile, match=f"layer {whole + 1}"):
                (seen,) = one_codec.decompress([torn])
        torch.testing.assert_close(seen, pictures[whole - 1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("part", ["gain", "heads", "generator", "mean_w", "entropy"])
def test_the_model_id_covers_all_that_a_decoder_uses(part: str):
    model_id = tiny_codec()[0].model_id
    codec, entropy = tiny_codec()
    assert codec.model_id == model_id
    networks = codec.networks
    changed = {
        "gain": networks.gain.log[-1],
        "heads": networks.heads.nets[-1].linear.bias,
        "generator": networks.generator.synthesis_network.b4.const,
        "mean_w": networks.generator.mean_w,
        "entropy": entropy.mean_bias[-1],
    }[part]
    with torch.no_grad():
        changed.add_(0.25)
    assert Codec.export(codec.model, networks, entropy).model_id != model_id


def test_the_encoder_is_not_part_of_the_model_id():
    """Files of a better encoder still decode."""
    codec, entropy = tiny_codec()
    with torch.no_grad():
        codec.networks.encoder.stem.weight.mul_(2)
    assert Codec.export(codec.model, codec.networks, entropy).model_id == tiny_codec()[0].model_id


def test_asking_for_layers_that_are_not_there(one_codec: Codec):
    (data,) = one_codec.compress(faces(1), layers=2)
    assert one_codec.decode([data], layers=3).held == [2], "an empty last layer is not written"
    assert torch.equal(one_codec.decompress(data, layers=3), one_codec.decompress(data, layers=2))
    for layers in (0, 4, -1):
        with pytest.raises(HscError, match=re.escape(f"layers {layers} is not one of 1 … 3 ({', '.join(LAYERS)})")):
            one_codec.decompress([data], layers=layers)
        with pytest.raises(HscError, match=f"layers {layers}"):
            one_codec.compress(faces(1), layers=layers)


def test_latents_must_be_numbers(one_codec: Codec):
    with pytest.raises(HscError, match="finite"):
        one_codec.analyse(torch.full((1, 3, SIZE, SIZE), torch.nan))


@pytest.mark.parametrize("quality", [-1, 2, 1.01, float("nan")])
def test_quality_must_exist(one_codec: Codec, quality: int):
    with pytest.raises(HscError, match="0 … 1"):
        one_codec.compress(faces(1), quality)


@pytest.mark.parametrize(("measured", "quality"), [([60.0, 120.0], 1), ([95.0, 240.0], 0), (None, 1)])
def test_default_quality_is_nearest_to_100_bytes(measured: list[float] | None, quality: int):
    codec, _ = tiny_codec()
    codec.card = {} if measured is None else {"bytes_per_face": measured}
    assert codec.default_quality == quality
    assert read(codec.compress(faces(1))[0]).header.quality == 255 * quality
