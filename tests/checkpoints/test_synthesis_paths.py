"""hsc's fast synthesis gives the images of a plain StyleGAN2 implementation, in every precision and memory format."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from nvlabs_pickle import nvlabs_state
from plain_stylegan2 import PlainGenerator
from programs import definitions
from torch import Tensor

from hsc.checkpoints.layouts import to_rosinality
from hsc.nets.stylegan2 import StyleGAN2, double

CHANNELS = [24, 20, 16, 12]
W_DIM = 16


@pytest.fixture(scope="module")
def generator() -> StyleGAN2:
    with torch.random.fork_rng():
        torch.manual_seed(11)
        generator = StyleGAN2(CHANNELS, W_DIM, W_DIM, mapping_layers=2).eval()
        for name, parameter in generator.named_parameters():
            if name.endswith(("bias", "noise_strength")):
                torch.nn.init.normal_(parameter, float("affine" in name), 0.3)
    return generator


@pytest.fixture(scope="module")
def plain(generator: StyleGAN2) -> PlainGenerator:
    plain = PlainGenerator(CHANNELS, W_DIM, 2)
    plain.load_state_dict(to_rosinality(nvlabs_state(generator), len(CHANNELS)), strict=True)
    return plain


@pytest.fixture(scope="module")
def ws() -> Tensor:
    return torch.randn(5, 2 * len(CHANNELS), W_DIM, generator=torch.Generator().manual_seed(12))


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Root mean square of the difference, in standard deviations of the expected images."""
    return float((found - expected).square().mean().sqrt() / expected.std())


@pytest.mark.parametrize("gradients", [True, False])
def test_float32(generator: StyleGAN2, plain: PlainGenerator, ws: Tensor, gradients: bool) -> None:
    with torch.set_grad_enabled(gradients):
        images = generator.synthesis(ws)
        torch.testing.assert_close(images, plain(ws), atol=1e-4, rtol=1e-5)
    assert images.dtype == torch.float32


@given(
    n=st.integers(1, 3),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    inputs=st.integers(1, 5),
    outputs=st.sampled_from([1, 3, 64]),
)
def test_doubling_is_one_operation_with_and_without_a_gradient(
    n: int, height: int, width: int, inputs: int, outputs: int
) -> None:
    """Without a gradient, small images are not computed by conv_transpose2d; the larger cases here still are."""
    dice = torch.Generator().manual_seed(13)
    x = torch.randn(n, inputs, height, width, generator=dice)
    weight = torch.randn(outputs, inputs, 3, 3, generator=dice)
    expected = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    for gradients in (True, False):
        with torch.set_grad_enabled(gradients):
            torch.testing.assert_close(double(x, weight), expected, atol=1e-5, rtol=1e-5)


def test_inference_changes_no_weight(generator: StyleGAN2, ws: Tensor) -> None:
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    with torch.no_grad():
        first, second = generator.synthesis(ws[:1]), generator.synthesis(ws[:1])
    assert torch.equal(first, second)
    for name, value in generator.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_gradients(generator: StyleGAN2, plain: PlainGenerator, ws: Tensor) -> None:
    """First derivatives with respect to the styles, and second derivatives as in path-length regularisation."""
    found = []
    for draw in (generator.synthesis, plain):
        styles = ws.clone().requires_grad_()
        (slope,) = torch.autograd.grad(draw(styles).tanh().sum(), styles, create_graph=True)
        (curvature,) = torch.autograd.grad(slope.square().sum(), styles)
        found.append((slope.detach(), curvature))
    torch.testing.assert_close(found[0][0], found[1][0], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(found[0][1], found[1][1], atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("batch", [1, 5])
def test_bfloat16(generator: StyleGAN2, plain: PlainGenerator, ws: Tensor, batch: int) -> None:
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        images = generator.synthesis(ws[:batch])
    assert images.dtype == torch.float32
    with torch.no_grad():
        error = relative_error(images, plain(ws[:batch]))
    assert 1e-4 < error < 2e-2, "the features have 8 bits: no more error than they cause, and no less"


def test_mapping_ignores_autocast(generator: StyleGAN2) -> None:
    z = torch.randn(3, W_DIM, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        exact = generator.mapping(z)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(generator.mapping(z), exact)


def test_whole_generator_in_double(generator: StyleGAN2, plain: PlainGenerator, ws: Tensor) -> None:
    """The float32 paths differ only by rounding: both are equally close to float64."""
    precise = StyleGAN2(CHANNELS, W_DIM, W_DIM, mapping_layers=2)
    precise.load_state_dict(generator.state_dict())
    with torch.no_grad():
        images = precise.double().synthesis(ws.double())
        assert images.dtype == torch.float64
        assert relative_error(generator.synthesis(ws), images) < 1e-5
        assert relative_error(plain(ws), images) < 1e-5


@pytest.mark.parametrize("order", [torch.channels_last, torch.contiguous_format])
def test_memory_order_of_the_kernels(generator: StyleGAN2, ws: Tensor, order: torch.memory_format) -> None:
    other = StyleGAN2(CHANNELS, W_DIM, W_DIM, mapping_layers=2)
    other.load_state_dict(generator.state_dict())
    for parameter in other.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=order)
    with torch.no_grad():
        torch.testing.assert_close(other.synthesis(ws), generator.synthesis(ws), atol=1e-4, rtol=1e-5)


def test_benchmark_measures_the_same_images(generator: StyleGAN2, plain: PlainGenerator, ws: Tensor) -> None:
    benchmark = definitions("benchmarks/generator.py")
    with torch.no_grad():
        torch.testing.assert_close(benchmark.plain_synthesis(generator, ws), plain(ws), atol=1e-4, rtol=1e-5)
        times = benchmark.compare(generator, benchmark.Case(2, torch.bfloat16), runs=2)
    assert len(times) == 2
    assert all(plain_time > 0 and fast_time > 0 for plain_time, fast_time in times)
