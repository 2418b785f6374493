"""The linear path: principal components of small pictures, there and back."""

import torch
import torch.nn.functional as F
from torch import Tensor

from hsc.nets.eigenfaces import EigenAnalysis, EigenSynthesis, components, small_pictures


def pictures(count: int = 60, side: int = 8) -> Tensor:
    """Smooth pictures, whose components differ clearly in variance."""
    noise = torch.randn(count, 3, 3, 3, generator=torch.Generator().manual_seed(1))
    return F.interpolate(noise, side, mode="bicubic") + 0.1


def test_components_are_those_of_the_pictures_and_their_mirror_images() -> None:
    given = pictures()
    mean, basis, deviations = components(given, 10)
    both = torch.cat([given, given.flip(-1)]).flatten(1).double()
    torch.testing.assert_close(mean.double(), both.mean(0), atol=1e-5, rtol=1e-4)
    variances = torch.linalg.eigvalsh(torch.cov(both.t(), correction=0)).flip(0)[:10]
    torch.testing.assert_close(deviations.double().square(), variances, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(basis.t() @ basis, torch.eye(10), atol=1e-4, rtol=0)
    coefficients = (both.float() - mean) @ basis
    torch.testing.assert_close(coefficients.square().mean(0), deviations.square(), rtol=1e-3, atol=1e-6)


def test_components_are_the_same_at_every_call_and_leave_the_random_state_alone() -> None:
    state = torch.get_rng_state()
    first, second = components(pictures(), 5), components(pictures(), 5)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert torch.equal(state, torch.get_rng_state())


def test_fewer_pictures_than_components_leave_zeros() -> None:
    _, basis, deviations = components(pictures(count=2), 9)
    assert basis.shape == (192, 9)
    assert not basis[:, 4:].any()
    assert not deviations[4:].any()


def test_small_pictures_are_means() -> None:
    images = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(small_pictures(images, 4)[1, 2, 0, 3], images[1, 2, :4, 12:].mean())


def test_the_numbers_of_all_layers_in_order() -> None:
    bands = [(2, 3), (1, 4)]
    analysis, synthesis = EigenAnalysis(4, bands), EigenSynthesis(4, bands)
    images = torch.randn(5, 3, 8, 8)
    first, second = analysis(images)
    assert (first.shape, second.shape) == ((5, 2, 3), (5, 1, 4))
    flat = analysis.linear(small_pictures(images, 4).flatten(1))
    torch.testing.assert_close(torch.cat([first.flatten(1), second.flatten(1)], 1), flat)
    torch.testing.assert_close(synthesis([first, second]).flatten(1), synthesis.linear(flat))


def test_autocast_leaves_the_linear_path_exact() -> None:
    analysis = EigenAnalysis(4, [(1, 6)])
    images = 30 * torch.randn(2, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        (inside,) = analysis(images)
    assert torch.equal(inside, analysis(images)[0])
