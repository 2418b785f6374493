"""The linear path: analysis and synthesis by principal components of small pictures."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hsc.nets.eigenfaces import (
    GRID,
    Blocks,
    Components,
    EigenAnalysis,
    EigenSynthesis,
    block_components,
    principal_components,
)
from hsc.nets.planes import emphasis, enlarged, from_planes, numbers_of_planes, to_blocks, to_planes


def pictures(count: int = 60, side: int = 8) -> Tensor:
    """Smooth pictures, whose components differ clearly in variance."""
    noise = torch.randn(count, 3, 3, 3, generator=torch.Generator().manual_seed(1))
    return F.interpolate(noise, side, mode="bicubic") + 0.1


@pytest.mark.parametrize("side", [8, 16], ids=["all are computed", "the first of many"])
def test_components_are_those_of_the_pictures_and_their_mirror_images(side: int) -> None:
    given = pictures(side=side)
    given = given + 0.01 * torch.randn(given.shape, generator=torch.Generator().manual_seed(2))
    mean, basis, deviations = principal_components([given], side, 10, emphasis(side))
    both = torch.cat([to_planes(given, side), to_planes(given.flip(-1), side)]).double()
    torch.testing.assert_close(mean.double(), both.mean(0), atol=1e-5, rtol=1e-4)
    weighted = both * emphasis(side)
    variances = torch.linalg.eigvalsh(torch.cov(weighted.t(), correction=0)).flip(0)[:10]
    torch.testing.assert_close(deviations.double().square(), variances, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(basis.t() @ basis, torch.eye(10), atol=1e-4, rtol=0)
    coefficients = (both.float() - mean) * emphasis(side) @ basis
    torch.testing.assert_close(coefficients.square().mean(0), deviations.square(), rtol=1e-3, atol=1e-6)


def test_components_are_the_same_at_every_call_and_leave_the_random_state_alone() -> None:
    state = torch.get_rng_state()
    first, second = (principal_components([pictures()], 8, 5, emphasis(8)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert torch.equal(state, torch.get_rng_state())


def test_fewer_pictures_than_components_leave_zeros() -> None:
    _, basis, deviations = principal_components([pictures(count=2)], 8, 9, emphasis(8))
    assert basis.shape == (numbers_of_planes(8), 9)
    assert not basis[:, 4:].any()
    assert not deviations[4:].any()


def test_batches_change_nothing() -> None:
    given = pictures(side=16)
    whole = principal_components([given], 8, 12, emphasis(8))
    mean, basis, deviations = principal_components(given.split(7), 8, 12, emphasis(8))
    torch.testing.assert_close(mean, whole[0])
    torch.testing.assert_close(deviations, whole[2], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close((basis.t() @ whole[1]).abs(), torch.eye(12), rtol=0, atol=1e-3)


def test_components_are_symmetric_or_antisymmetric() -> None:
    given = pictures()
    mean, basis, _ = principal_components([given], 8, 20, emphasis(8))
    shown = from_planes(mean[None], 8)
    torch.testing.assert_close(shown, shown.flip(-1))
    drawn = from_planes(basis.t(), 8)
    symmetric = [torch.allclose(one, one.flip(-1), atol=1e-5) for one in drawn]
    antisymmetric = [torch.allclose(one, -one.flip(-1), atol=1e-5) for one in drawn]
    assert all(one != other for one, other in zip(symmetric, antisymmetric, strict=True))
    assert 5 < sum(symmetric) < 15


def test_the_numbers_of_all_layers_in_order() -> None:
    bands = [(2, 3), (1, 4)]
    analysis, synthesis = EigenAnalysis(8, bands), EigenSynthesis(8, bands)
    images = torch.randn(5, 3, 16, 16)
    first, second = analysis(images)
    assert (first.shape, second.shape) == ((5, 2, 3), (5, 1, 4))
    flat = analysis.components.read(to_planes(images, 8))
    torch.testing.assert_close(torch.cat([first.flatten(1), second.flatten(1)], 1), flat)
    small, large, _ = synthesis([first, second])
    torch.testing.assert_close(small, from_planes(synthesis.components.drawn(flat), 8))
    assert torch.equal(small, large), "there are no blocks"


def test_components_are_the_given_ones_from_half_their_numbers() -> None:
    torch.manual_seed(0)
    mean, basis, _ = principal_components([torch.randn(30, 3, 16, 16)], 8, 20, emphasis(8))
    components = Components(8, 20)
    components.set_to(mean, basis)
    assert 2 * components.weight.numel() == basis.numel()
    assert 0 < int(components.antisymmetric.sum()) < 20
    planes, latents = torch.randn(3, numbers_of_planes(8)), torch.randn(3, 20)
    torch.testing.assert_close(components.read(planes), (planes - mean) * emphasis(8) @ basis / components.scale)
    drawn = mean + components.scale * latents @ basis.t() / emphasis(8)
    torch.testing.assert_close(components.drawn(latents), drawn)
    torch.testing.assert_close(components.read(components.drawn(latents)), latents, atol=1e-4, rtol=0)


def test_components_see_a_mirrored_face_alike() -> None:
    """Even after training has changed them."""
    components = Components(8, 20)
    components.antisymmetric[::3] = True
    face = torch.randn(2, 3, 8, 8)
    seen, mirrored = (components.read(to_planes(images, 8)) for images in (face, face.flip(-1)))
    signs = torch.where(components.antisymmetric, -1.0, 1.0)
    torch.testing.assert_close(mirrored, seen * signs, atol=1e-4, rtol=1e-4)


def test_autocast_leaves_the_linear_path_exact() -> None:
    analysis = EigenAnalysis(8, [(1, 6)])
    images = 30 * torch.randn(2, 3, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        (inside,) = analysis(images)
    assert torch.equal(inside, analysis(images)[0])


def started_blocks(size: int, count: int) -> Blocks:
    pictures = torch.randn(20, 3, size, size, generator=torch.Generator().manual_seed(3))
    blocks = Blocks(size, count)
    blocks.set_to(block_components(pictures.split(6), count, blocks.emphasis))
    return blocks


def test_components_of_blocks_are_those_of_all_blocks_together() -> None:
    given = torch.randn(9, 3, 16, 16, generator=torch.Generator().manual_seed(4)) * torch.linspace(1, 3, 16)
    weights = torch.rand(GRID**2, 1) + 0.5
    basis = block_components(given.split(4), 5, weights)
    torch.testing.assert_close(basis.t() @ basis, torch.eye(5), atol=1e-5, rtol=0)
    together = (to_blocks(given, GRID) * weights).flatten(0, 1).double()
    largest = torch.linalg.eigvalsh(together.t() @ together).flip(0)[:5]
    torch.testing.assert_close((together @ basis.double()).square().sum(0), largest, rtol=1e-4, atol=1e-6)


def test_blocks_with_all_components_give_back_a_picture() -> None:
    blocks, pictures = started_blocks(16, 12), torch.randn(2, 3, 16, 16)
    latents = blocks.read(pictures)
    assert latents.shape == (2, GRID**2 * 12)
    torch.testing.assert_close(blocks.drawn(latents), pictures, atol=1e-4, rtol=0)


def test_a_unit_changes_the_weighted_picture_of_blocks_as_much_as_that_of_whole_faces() -> None:
    """Their pictures have twice the side; mean squares are compared."""
    blocks, components = started_blocks(16, 3), Components(8, 4)
    components.set_to(*principal_components([pictures()], 8, 4, emphasis(8))[:2])
    by_block = to_blocks(blocks.drawn(F.one_hot(torch.arange(3), 3 * GRID**2).float()), GRID) * blocks.emphasis
    weighted = (components.drawn(torch.eye(4)) - components.mean) * emphasis(8)
    expected = weighted.square().sum(1).mean() / (3 * 8**2)
    torch.testing.assert_close(by_block.square().sum((1, 2)) / (3 * 16**2), expected.expand(3), rtol=1e-3, atol=1e-8)


def test_blocks_code_what_whole_faces_leave_out() -> None:
    bands = [(1, 4), (2, 3 + GRID**2 * 6)]
    analysis, synthesis = EigenAnalysis(8, bands, 12), EigenSynthesis(8, bands, 12)
    analysis.components.set_to(*principal_components([pictures()], 8, 10, emphasis(8))[:2])
    assert analysis.blocks is not None
    analysis.blocks.set_to(started_blocks(16, 12).weight.detach().t() * analysis.blocks.weight_gain)
    synthesis.components, synthesis.blocks = analysis.components, analysis.blocks
    images = torch.randn(2, 3, 32, 32)
    small, large, of_blocks = synthesis(analysis(images))
    whole = analysis.components.read(to_planes(images, 8))
    torch.testing.assert_close(small, from_planes(analysis.components.drawn(whole), 8))
    torch.testing.assert_close(large, F.avg_pool2d(images, 2), atol=1e-4, rtol=0)
    assert of_blocks is not None
    torch.testing.assert_close(of_blocks, large - enlarged(small, 16), atol=1e-4, rtol=0)
    none_sent = [layer.clone() for layer in analysis(images)]
    none_sent[1].view(2, -1)[:, 6:] = 0
    torch.testing.assert_close(synthesis(none_sent).large, enlarged(small, 16))
