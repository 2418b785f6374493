"""MobileStyleGAN at every size: equal to its plain operations, two sizes in one network, and injected features."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from programs import definitions
from torch import Tensor

from hsc.checkpoints import load_generator, save_generator
from hsc.config import ModelConfig
from hsc.config.schema import GeneratorConfig
from hsc.nets.build import build_generator
from hsc.nets.generator import Generator
from hsc.nets.mobile_stylegan import CHANNELS, NUM_ROWS, MobileStyleGAN, inverse_haar

SMALL = [16, 16, 16, 16, 16, 8, 8, 4]  # 1024²; the first n entries give a side of 4·2^n
W_DIM = 12


def small(entries: int = 5, full: int = 0) -> MobileStyleGAN:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = MobileStyleGAN(SMALL[:entries], W_DIM, W_DIM, mapping_layers=2, full=SMALL[:full]).eval()
        for name, value in [*generator.named_parameters(), *generator.named_buffers()]:
            if name.endswith(("bias", "noise", "w_avg")) or ".affine.1." in name:
                value.data.add_(torch.randn_like(value), alpha=0.3)
    return generator


@pytest.fixture
def ws() -> Tensor:
    return torch.randn(2, NUM_ROWS, W_DIM, generator=torch.Generator().manual_seed(1))


def test_inverse_haar_is_each_band_times_a_pattern_over_2x2_pixels() -> None:
    bands = torch.randn(2, 12, 5, 3)
    patterns = torch.tensor([[[1, 1], [1, 1]], [[1, 1], [-1, -1]], [[1, -1], [1, -1]], [[1, -1], [-1, 1]]]) / 2
    drawn = sum(torch.kron(band, pattern) for band, pattern in zip(bands.chunk(4, 1), patterns, strict=True))
    torch.testing.assert_close(inverse_haar(bands), drawn)


@pytest.mark.parametrize("entries", [2, 5, 8])
def test_images_are_those_of_one_operation_after_the_other(entries: int, ws: Tensor) -> None:
    generator, ws = small(entries).double(), ws[: 1 if entries == 8 else 2].double()
    images = generator.synthesis(ws)
    assert images.shape == (len(ws), 3, generator.size, generator.size)
    assert generator.size == 4 * 2**entries
    plain = definitions("benchmarks/generator.py").plain_mobile_synthesis
    torch.testing.assert_close(images, plain(generator, ws), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("entries", [4, 8])
def test_every_row_counts(entries: int, ws: Tensor) -> None:
    """At every size, all 16 rows of W+ affect the image."""
    generator = small(entries)
    ws.requires_grad_()
    (gradient,) = torch.autograd.grad(generator.synthesis(ws).square().sum(), ws)
    assert bool((gradient.abs().amax((0, 2)) > 0).all())


def test_bfloat16(ws: Tensor) -> None:
    """Autocast applies to the features but not to styles and image; gradients have the precision of the weights."""
    generator = small()
    expected = generator.synthesis(ws)
    with torch.autocast("cpu", torch.bfloat16):
        features = [x.dtype for x in generator.synthesis_network.features(ws)]
        images = generator.synthesis(ws)
    assert set(features) == {torch.bfloat16}
    assert images.dtype == torch.float32
    assert F.mse_loss(images, expected) < 1e-3 * expected.var()
    images.square().mean().backward()
    assert all(weight.grad is not None for weight in generator.synthesis_network.parameters())


@pytest.mark.parametrize("count", [1, 2])
def test_features_are_in_the_order_of_channels_last(count: int) -> None:
    """Also for a single image: with other strides, convolutions would copy it and choose a slow kernel."""
    generator = MobileStyleGAN((16, 16, 16))
    with torch.inference_mode():
        for features in generator.synthesis_network.features(torch.randn(count, NUM_ROWS, 512)):
            assert features.stride() == torch.empty_like(features, memory_format=torch.channels_last).stride()


def test_two_sizes_share_their_first_layers(ws: Tensor) -> None:
    """Each size gives the same image as a separate generator of that size."""
    generator = small(5, full=8)
    assert (generator.size, generator.full_size) == (128, 1024)
    alone, large = small(5), small(8)
    alone.synthesis_network.load_state_dict(generator.synthesis_network.state_dict(), strict=False)
    assert torch.equal(generator.synthesis(ws), alone.synthesis(ws))
    large.synthesis_network.load_state_dict(generator.synthesis_network.state_dict(), strict=False)
    generator.take_full_size(large)
    assert torch.equal(generator.synthesis(ws, full=True), large.synthesis(ws))
    inject = {32: (torch.randn(2, 8, 1, 1), torch.randn(2, 8, 32, 32))}
    assert torch.equal(generator.synthesis(ws, full=True, inject=inject), large.synthesis(ws, inject=inject))


def test_sizes_that_do_not_go_together(ws: Tensor) -> None:
    with pytest.raises(ValueError, match="do not begin as"):
        MobileStyleGAN(SMALL[:5], W_DIM, W_DIM, 1, full=[8, *SMALL[1:]])
    with pytest.raises(ValueError, match="no larger size"):
        small().synthesis(ws, full=True)
    with pytest.raises((RuntimeError, KeyError)):
        small(5, full=8).take_full_size(small(7))


@pytest.mark.parametrize("count", [8, 16])
def test_injected_features(ws: Tensor, count: int) -> None:
    """The layers above, and the caller, get the features after scaling and shifting, in some channels or in all."""
    generator = small()
    nothing = {16: (torch.zeros(1, count, 1, 1), torch.zeros(2, count, 16, 16))}
    torch.testing.assert_close(generator.synthesis(ws, inject=nothing), generator.synthesis(ws))
    scale, shift = torch.randn(2, count, 1, 1), torch.randn(2, count, 16, 16)
    inject = {16: (scale, shift)}
    before = {x.shape[-1]: x for x in generator.synthesis_network.features(ws)}
    after = {x.shape[-1]: x for x in generator.synthesis_network.features(ws, inject)}
    assert list(after) == [8, 16, 32, 64]
    assert torch.equal(after[8], before[8])
    torch.testing.assert_close(after[16][:, :count], before[16][:, :count] * (1 + scale) + shift)
    assert torch.equal(after[16][:, count:], before[16][:, count:])
    x = generator.synthesis_network.layers[2](after[16], ws[:, 5], ws[:, 6])
    torch.testing.assert_close(after[32], x)


def test_real_sizes() -> None:
    """Ten million parameters at 1024², and heads of at most a million and a half at every smaller size."""
    for entries in range(4, 9):
        with torch.device("meta"):
            generator = MobileStyleGAN(CHANNELS[:entries])
        head = sum(weight.numel() for weight in generator.synthesis_network.heads.parameters())
        assert head < 1.5e6
        assert generator.num_rows == NUM_ROWS
    assert sum(weight.numel() for weight in generator.parameters()) < 10.5e6


def test_hsc_file(tmp_path: Path, ws: Tensor) -> None:
    """Both sizes and all widths are read off the tensors."""
    generator = small(5, full=7)
    save_generator(tmp_path / "prior.safetensors", generator)
    loaded = load_generator(tmp_path / "prior.safetensors")
    assert isinstance(loaded, MobileStyleGAN)
    assert torch.equal(loaded.mean_w, generator.mean_w)
    for full in (False, True):
        assert torch.equal(loaded.synthesis(ws, full=full), generator.synthesis(ws, full=full))


def test_of_a_configuration() -> None:
    model = ModelConfig(generator=GeneratorConfig("mobilestylegan", SMALL[:4], W_DIM, W_DIM, 2, "const"))
    generator = build_generator(model)
    assert isinstance(generator, MobileStyleGAN)
    assert isinstance(generator, Generator)
    assert (generator.size, generator.num_rows) == (model.generator.resolutions[-1], model.generator.num_rows)
