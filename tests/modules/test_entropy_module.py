"""Coding latents in training: prefixes nest, missing layers are filled, rates have gradients."""

import pytest
import torch
from tiny_model import DIM, ROWS, tiny_model

from hsc.codec import Codec, Networks
from hsc.images import resize
from hsc.modules.entropy import EntropyModule
from hsc.nets.build import build_encoder, build_generator, build_heads

QUANTISERS = pytest.mark.parametrize("quantiser", ["noise", "round"])


def module() -> EntropyModule:
    torch.manual_seed(0)
    made = EntropyModule(tiny_model())
    for parameter in made.net.parameters():  # some are initialised to zero, which would hide differences
        torch.nn.init.normal_(parameter, std=0.2)
    return made


def latents(n: int = 4) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return [torch.randn(n, rows, DIM, generator=random) * 2 for rows in ROWS]


QUALITY = torch.tensor([0, 1, 0, 1])


@QUANTISERS
def test_prefixes_are_nested(quantiser):
    coded = module()(latents(), QUALITY, quantiser, torch.Generator().manual_seed(0))
    shapes = [(4, rows, DIM) for rows in ROWS]
    assert [[tuple(layer.shape) for layer in prefix] for prefix in coded.prefixes] == [shapes] * 3
    for sent in range(2):
        shorter, longer = coded.prefixes[sent], coded.prefixes[sent + 1]
        assert all(torch.equal(a, b) for a, b in zip(shorter[: sent + 1], longer, strict=False))
        assert not torch.equal(shorter[sent + 1], longer[sent + 1])  # predicted in one, decoded in the other


def test_a_missing_layer_is_what_zeros_decode_to():
    entropy = module()
    coded = entropy(latents(), QUALITY, "round")
    for sent in range(1, 3):
        filled = coded.prefixes[sent - 1]
        # Latents that equal their prediction have no residual: every later layer is coded as zeros.
        again = entropy([*latents()[:sent], *filled[sent:]], QUALITY, "round")
        assert all((symbols == 0).all() for symbols in again.symbols[sent:])
        for own, other in zip(again.prefixes[-1], filled, strict=True):
            torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-5)


@QUANTISERS
def test_symbols_and_bits(quantiser):
    coded = module()(latents(), QUALITY, quantiser, torch.Generator().manual_seed(0))
    assert coded.row_bits.shape == (4, sum(ROWS))
    assert (coded.row_bits > 0).all()
    for symbols in coded.symbols:
        assert torch.equal(symbols, symbols.round())
        assert symbols.abs().max() >= 2


def test_fewer_layers_cost_and_decode_the_same():
    entropy = module()
    everything = entropy(latents(), QUALITY, "round")
    first = entropy(latents()[:1], QUALITY, "round")
    assert len(first.prefixes) == len(first.symbols) == 1
    assert torch.equal(first.row_bits, everything.row_bits[:, : ROWS[0]])
    assert all(torch.equal(a, b) for a, b in zip(first.prefixes[0], everything.prefixes[0], strict=True))


@QUANTISERS
def test_rate_and_reconstruction_have_gradients(quantiser):
    entropy = module()
    inputs = [values.requires_grad_() for values in latents()]
    coded = entropy(inputs, QUALITY, quantiser, torch.Generator().manual_seed(0))
    rate = torch.autograd.grad(coded.row_bits.sum(), inputs, retain_graph=True)
    assert all(g.isfinite().all() and g.abs().max() > 0 for g in rate)
    image = torch.autograd.grad(sum(values.square().sum() for values in coded.prefixes[-1]), inputs, retain_graph=True)
    assert all(g.isfinite().all() and g.abs().max() > 0 for g in image)
    coded.row_bits.sum().backward()
    gains = entropy.gain.parameters()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.abs().max() > 0 for p in gains)


def test_noise_follows_its_generator():
    entropy = module()
    first, again, other = (
        entropy(latents(), QUALITY, "noise", torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(first.row_bits, again.row_bits)
    assert not torch.equal(first.row_bits, other.row_bits)
    # Reconstructions are rounded and do not depend on the noise.
    assert all(torch.equal(a, b) for a, b in zip(first.prefixes[-1], other.prefixes[-1], strict=True))


@pytest.mark.usefixtures("in_float32")
def test_training_and_the_released_codec_fill_alike():
    """A prefix in training gives the image that `Codec` decodes from that prefix of a file, up to integer precision."""
    entropy = module()
    model = tiny_model()
    encoder, heads, generator = build_encoder(model), build_heads(model), build_generator(model)
    torch.nn.init.normal_(heads.nets[2].down.weight, std=0.1)
    codec = Codec.export(model, Networks(encoder, entropy.gain, heads, generator), entropy.net)
    images = torch.rand(4, 3, codec.size, codec.size) * 2 - 1
    for quality in range(codec.num_qualities):
        level = torch.full((4,), quality)
        with torch.no_grad():
            coded = entropy(encoder(images), level, "round")
            for sent in range(1, 4):
                expected = generator.synthesis(generator.mean_w + heads(coded.prefixes[sent - 1], level))
                files = codec.compress(images, quality, layers=sent)
                shown = torch.stack(codec.decompress(files))
                difference = (resize(shown, codec.size) - expected.clamp(-1, 1)).abs().amax((1, 2, 3))
                # A residual close to ½ may round the other way; one symbol then differs in a few images.
                assert difference.median() < 0.02 * expected.std()
