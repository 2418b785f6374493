"""Conversion of small pictures to vectors and back."""

import torch
import torch.nn.functional as F

from hsc.nets.planes import (
    emphasis,
    from_blocks,
    from_planes,
    numbers_of_planes,
    small_pictures,
    to_blocks,
    to_planes,
)


def test_small_pictures_are_means() -> None:
    images = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(small_pictures(images, 4)[1, 2, 0, 3], images[1, 2, :4, 12:].mean())


def test_planes_are_luminance_and_coarser_colour() -> None:
    images = torch.randn(3, 3, 16, 16)
    planes = to_planes(images, 8)
    assert planes.shape == (3, numbers_of_planes(8)) == (3, 72)
    grey = images.mean(1).mul(3**0.5)
    torch.testing.assert_close(planes[:, :64], F.avg_pool2d(grey[:, None], 2).flatten(1))


def test_planes_give_back_grey_pictures_and_even_colours() -> None:
    grey = torch.randn(2, 1, 8, 8).expand(2, 3, 8, 8)
    torch.testing.assert_close(from_planes(to_planes(grey, 8), 8), grey)
    coloured = torch.randn(2, 3, 1, 1).expand(2, 3, 16, 16)
    shown = from_planes(to_planes(coloured, 16), 16)[:, :, 4:12, 4:12]  # outside the image the filter reads black
    torch.testing.assert_close(shown, coloured[:, :, 4:12, 4:12])


def test_lengths_of_planes_are_those_of_pictures_with_coarse_colour() -> None:
    luminance, colour = torch.randn(2, 1, 8, 8), torch.randn(2, 3, 2, 2)
    colour = colour - colour.mean(1, keepdim=True)  # without luminance
    pictures = luminance + F.interpolate(colour, scale_factor=4)
    torch.testing.assert_close(to_planes(pictures, 8).norm(dim=1), pictures.flatten(1).norm(dim=1))


def test_emphasis_is_on_the_face_and_the_same_for_both_halves_of_it() -> None:
    weights = emphasis(16)
    assert weights.shape == (numbers_of_planes(16),)
    torch.testing.assert_close(weights.square().mean(), torch.tensor(1.0))
    luminance = weights[:256].view(16, 16)
    torch.testing.assert_close(luminance, luminance.flip(1))
    assert divmod(int(luminance.argmax()), 16) in {(7, 7), (7, 8), (8, 7), (8, 8)}
    assert luminance.max() > 2.5 * luminance[0, 0]
    assert weights[256:].unique().numel() == 1


def test_blocks_are_squares_row_by_row() -> None:
    pictures = torch.randn(2, 3, 16, 16)
    blocks = to_blocks(pictures, 4)
    assert blocks.shape == (2, 16, 48)
    assert torch.equal(blocks[1, 6], pictures[1, :, 4:8, 8:12].flatten())
    assert torch.equal(from_blocks(blocks, 4), pictures)
