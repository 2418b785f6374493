"""Heads that read the linear path's picture."""

import pytest
import torch
from torch import Tensor

from hsc.nets.eigenfaces import EigenSynthesis
from hsc.nets.heads import decode
from hsc.nets.mobile_stylegan import NUM_ROWS, MobileStyleGAN
from hsc.nets.picture_heads import PictureHeads
from hsc.nets.planes import enlarged

SIDE, W = 32, 8
BANDS = [(3, 4), (4, 4), (9, 2)]
WIDTHS = {8: 8, 16: 8, 32: 12}


@pytest.fixture
def heads() -> PictureHeads:
    torch.manual_seed(0)
    return new_heads(EigenSynthesis(SIDE, BANDS))


def new_heads(eigen: EigenSynthesis) -> PictureHeads:
    return PictureHeads(eigen, W, num_qualities=3, hidden=16, widths=WIDTHS)


@pytest.fixture
def generator() -> MobileStyleGAN:
    torch.manual_seed(1)
    generator = MobileStyleGAN([8, 8, 8, 12], z_dim=4, w_dim=W, mapping_layers=1)
    generator.mean_w.normal_()
    return generator


@pytest.fixture
def latents() -> list[Tensor]:
    torch.manual_seed(2)
    return [torch.randn(2, rows, dim) for rows, dim in BANDS]


def shake(heads: PictureHeads) -> None:
    """Give every weight a random value other than zero."""
    torch.manual_seed(3)
    for parameter in heads.parameters():
        torch.nn.init.normal_(parameter, std=0.1)


def test_fresh_heads_draw_the_mean_face_mended(
    heads: PictureHeads, generator: MobileStyleGAN, latents: list[Tensor]
) -> None:
    """Before training, each face is the mean face moved towards its picture."""
    quality = torch.tensor([0, 2])
    drawn = decode(heads, generator, latents, quality)
    mean = generator.synthesis(generator.mean_w.expand(2, NUM_ROWS, -1))
    assert drawn.shape == (2, 3, 64, 64)
    torch.testing.assert_close(drawn, heads.mended(mean, heads.picture(latents).small, quality))
    assert not torch.equal(drawn, mean)


def test_images_equal_to_the_picture_stay(heads: PictureHeads, latents: list[Tensor]) -> None:
    picture = heads.picture(latents).small
    exact = picture.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(heads.mended(exact, picture, torch.tensor([1, 1])), exact)


def test_portions_of_one_bring_the_picture_back(heads: PictureHeads, latents: list[Tensor]) -> None:
    """Starting from an empty image, the whole picture is added, in all its frequency bands."""
    picture = heads.picture(latents).small
    torch.nn.init.ones_(heads.mend.weight)
    mended = heads.mended(torch.zeros(2, 3, 64, 64), picture, torch.tensor([0, 1]))
    torch.testing.assert_close(mended, enlarged(picture, 64))


def test_styles_and_features_follow_the_picture_and_the_quality(heads: PictureHeads, latents: list[Tensor]) -> None:
    shake(heads)
    picture = heads.picture(latents).small
    styles = heads.styles(picture, torch.tensor([0, 1]))
    injection = heads.modulation(picture, torch.tensor([0, 1]))
    assert styles.shape == (2, NUM_ROWS, W)
    assert {side: scale.shape for side, (scale, _) in injection.items()} == {
        8: (2, 4, 8, 8), 16: (2, 4, 16, 16), 32: (2, 6, 32, 32)
    }  # fmt: skip
    torch.testing.assert_close(heads(latents, torch.tensor([0, 1])), styles)
    for other_picture, other_quality in ((picture.flip(0), [0, 1]), (picture, [2, 2])):
        assert not torch.allclose(heads.styles(other_picture, torch.tensor(other_quality)), styles)
        injection_there = heads.modulation(other_picture, torch.tensor(other_quality))
        assert not torch.allclose(injection_there[32][1], injection[32][1])


def test_between_two_qualities(heads: PictureHeads, latents: list[Tensor]) -> None:
    """A whole number gives exactly its level; a fraction differs from its neighbours."""
    shake(heads)
    picture = heads.picture(latents).small
    levels = heads.styles(picture, torch.tensor([1, 1]))
    assert torch.equal(heads.styles(picture, torch.tensor([1.0, 1.0])), levels)
    assert not torch.allclose(heads.styles(picture, torch.tensor([1.5, 1.5])), levels)


BLOCKS = 1  # of 8×8 blocks of 8×8 pixels


@pytest.fixture
def with_blocks(heads: PictureHeads) -> PictureHeads:
    """The same heads, whose picture also has blocks."""
    bands = [*BANDS[:-1], (9, 16)]
    torch.manual_seed(4)
    other = new_heads(EigenSynthesis(SIDE, bands, BLOCKS))
    for name in ("styles", "modulation", "mend"):
        setattr(other, name, getattr(heads, name))
    return other


def latents_of(heads: PictureHeads) -> list[Tensor]:
    torch.manual_seed(2)
    return [torch.randn(2, rows, dim) for rows, dim in heads.eigen.bands]


def test_fresh_details_change_nothing(with_blocks: PictureHeads, generator: MobileStyleGAN) -> None:
    latents, quality = latents_of(with_blocks), torch.tensor([0, 2])
    drawn = decode(with_blocks, generator, latents, quality)
    assert with_blocks.details is not None
    with_blocks.details = None
    assert torch.equal(drawn, decode(with_blocks, generator, latents, quality))


@pytest.mark.parametrize("size", [64, 128], ids=["its own size", "a larger one"])
def test_details_of_portion_one_bring_the_picture_back(with_blocks: PictureHeads, size: int) -> None:
    assert with_blocks.details is not None
    torch.nn.init.ones_(with_blocks.details.portion.weight)
    picture = with_blocks.picture([3000 * layer for layer in latents_of(with_blocks)])  # blocks that are far from empty
    images = with_blocks.details(torch.zeros(2, 3, size, size), picture, torch.tensor([1, 1]))
    torch.testing.assert_close(images, enlarged(picture.large, size), rtol=1e-3, atol=0.5)


def test_images_stay_as_they_are_where_blocks_are_empty(with_blocks: PictureHeads) -> None:
    shake(with_blocks)
    assert with_blocks.details is not None
    latents, images, quality = latents_of(with_blocks), torch.randn(2, 3, 64, 64), torch.tensor([0, 1])
    blocks = latents[-1].view(2, -1)[:, -(8**2) * BLOCKS :].unflatten(1, (8, 8, BLOCKS))  # rows, columns
    blocks[:, :, :4] = 0
    changed = (with_blocks.details(images, with_blocks.picture(latents), quality) - images).abs().amax((0, 1, 2))
    assert not changed[:28].any(), "half a block is where they mix"
    assert changed[36:].all()
    blocks[:] = 0
    assert torch.equal(with_blocks.details(images, with_blocks.picture(latents), quality), images)


def test_details_depend_on_the_quality(with_blocks: PictureHeads) -> None:
    shake(with_blocks)
    assert with_blocks.details is not None
    picture, images = with_blocks.picture(latents_of(with_blocks)), torch.zeros(2, 3, 64, 64)
    levels = with_blocks.details(images, picture, torch.tensor([1, 2]))
    torch.testing.assert_close(with_blocks.details(images, picture, torch.tensor([1.0, 2.0])), levels)
    assert not torch.allclose(with_blocks.details(images, picture, torch.tensor([0, 1])), levels)


@pytest.mark.parametrize("kind", ["heads", "with_blocks"])
def test_every_weight_learns(kind: str, generator: MobileStyleGAN, request: pytest.FixtureRequest) -> None:
    heads: PictureHeads = request.getfixturevalue(kind)
    latents = latents_of(heads)
    shake(heads)
    decode(heads, generator, latents, torch.tensor([0, 1])).square().sum().backward()
    without = [name for name, weight in heads.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert without == []
