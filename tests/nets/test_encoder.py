"""The pyramid encoder: what it returns, and which maps its layers read."""

import pytest
import torch

from hsc.nets.encoder import PyramidEncoder


@pytest.mark.parametrize(
    ("size", "channels", "taps"),
    [
        (32, [8, 8, 16, 16], [4, 8, 16]),
        (64, [8, 8, 16, 16, 24], [4, 8, 16]),
        (128, [8, 8, 8, 16, 16, 24], [8, 16, 32]),
    ],
)
def test_shapes_and_taps(size: int, channels: list[int], taps: list[int]):
    bands = [(3, 5), (4, 6), (2, 7)]
    encoder = PyramidEncoder(size, channels, bands, pyramid_channels=16)
    latents = encoder(torch.randn(2, 3, size, size))
    assert [tuple(layer.shape) for layer in latents] == [(2, rows, dim) for rows, dim in bands]
    assert encoder.taps == taps
    assert encoder.sides == [size // 2**i for i in range(1, len(channels))]


def test_layers_read_no_finer_map_than_their_own():
    """The finest map reaches the last layer alone: coarse layers come from coarse features."""
    torch.manual_seed(0)
    encoder = PyramidEncoder(64, [8, 8, 16, 16, 24], [(1, 4)] * 3, pyramid_channels=16)
    images = torch.randn(1, 3, 64, 64)
    before = encoder(images)
    with torch.no_grad():
        encoder.laterals["16"].weight.add_(1.0)
    after = encoder(images)
    assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [True, True, False]


def test_latents_tell_images_apart_from_the_start():
    """With default initialisation the features of such an encoder shrink until its latents are constants."""
    torch.manual_seed(0)
    encoder = PyramidEncoder(64, [16, 16, 32, 32, 32], [(3, 16), (4, 16), (3, 16)], pyramid_channels=32)
    for layer in encoder(torch.randn(8, 3, 64, 64)):
        assert layer.std(0).mean() > 0.1


def test_the_network_adds_nothing_to_the_latents_of_blocks() -> None:
    torch.manual_seed(0)
    encoder = PyramidEncoder(64, [8, 8, 16, 16, 24], [(1, 4), (2, 40)], pyramid_channels=16, picture=32, blocks=1)
    images = torch.randn(2, 3, 64, 64)
    assert encoder.eigen is not None
    linear, latents = encoder.eigen(images)[1].flatten(1), encoder(images)[1].flatten(1)
    assert torch.equal(latents[:, 16:], linear[:, 16:])
    assert not torch.isclose(latents[:, :16], linear[:, :16]).any()
