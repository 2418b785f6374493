"""The linear path: principal components of small pictures, there and back."""

import torch
import torch.nn.functional as F
from torch import Tensor

from hsc.nets.eigenfaces import (
    EigenAnalysis,
    EigenSynthesis,
    components,
    enlarged,
    from_cells,
    latent_scale,
    small_pictures,
    to_cells,
)
from hsc.nets.generator import Generator


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


def test_cells_are_squares_of_the_picture() -> None:
    pictures = torch.randn(2, 3, 16, 16)
    cells = to_cells(pictures, 4)
    assert cells.shape == (2, 16, 48)
    square = pictures[1, :, 4:8, 8:12]  # second row, third column
    assert torch.equal(cells[1, 6].sort().values, square.flatten().sort().values)
    assert torch.equal(from_cells(cells, 16), pictures)


def test_a_grid_holds_what_the_components_leave() -> None:
    """With orthonormal components, and cells that hold every pixel, synthesis undoes analysis."""
    bands, size, side = [(1, 6), (4, 48)], 8, 4
    analysis, synthesis = EigenAnalysis(side, bands, size, grid=2), EigenSynthesis(side, bands, size, grid=2)
    basis, _ = torch.linalg.qr(torch.randn(3 * side**2, 6))
    scale = latent_scale(side)
    with torch.no_grad():
        analysis.linear.weight.copy_(basis.t() / scale / analysis.linear.weight_gain)
        analysis.mean.normal_()
        analysis.linear.bias.copy_(-(analysis.mean @ basis) / scale)
        synthesis.linear.weight.copy_(basis * scale / synthesis.linear.weight_gain)
        synthesis.linear.bias.copy_(analysis.mean / synthesis.linear.bias_gain)
        for cells in (analysis.cells, synthesis.cells):
            cells.weight.copy_(torch.eye(48) / cells.weight_gain)
            cells.bias.zero_()
    images = torch.randn(3, 3, size, size)
    latents = analysis(images)
    assert [tuple(layer.shape) for layer in latents] == [(3, 1, 6), (3, 4, 48)]
    torch.testing.assert_close(synthesis(latents), images, atol=1e-4, rtol=0)
    without = synthesis([latents[0], torch.zeros(3, 4, 48)])
    projected = analysis.mean + (small_pictures(images, side).flatten(1) - analysis.mean) @ basis @ basis.t()
    torch.testing.assert_close(without, enlarged(projected.view(3, 3, side, side), size), atol=1e-4, rtol=0)


@torch.no_grad()
def test_pictures_are_enlarged_as_the_generator_does_it() -> None:
    generator = Generator([8, 8, 8], z_dim=4, w_dim=4, mapping_layers=1, picture=4)
    for resolution in (4, 8, 16):
        generator.synthesis_network.get_submodule(f"b{resolution}.torgb").requires_grad_(False)
        generator.synthesis_network.get_parameter(f"b{resolution}.torgb.weight").zero_()
    picture = torch.randn(2, 3, 4, 4)
    shown = generator.synthesis(torch.randn(2, 6, 4), picture=picture)
    torch.testing.assert_close(enlarged(picture, 16), shown)
