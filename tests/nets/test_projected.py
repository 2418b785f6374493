"""The projected discriminator: the heads learn, the random feature mixing stays fixed."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hsc.nets.projected import ProjectedDiscriminator

WIDTHS = (3, 6, 12, 24)


def features(images: Tensor) -> list[Tensor]:
    """Averages over squares of 4 to 32 pixels, repeated to the expected widths."""
    scales = (F.avg_pool2d(images, 4 << scale) for scale in range(4))
    return [scale.repeat(1, width // 3, 1, 1) for scale, width in zip(scales, WIDTHS, strict=True)]


def discriminator(size: int) -> ProjectedDiscriminator:
    torch.manual_seed(0)
    return ProjectedDiscriminator(features, WIDTHS, size)


@pytest.mark.parametrize("size", [64, 128, 256])
def test_every_scale_speaks_and_gradients_reach_the_image(size: int):
    images = torch.rand(2, 3, size, size, requires_grad=True)
    net = discriminator(size)
    logits = net(images)
    scales = [min(size >> (scale + 2), 8) for scale in range(4)]
    assert logits.shape == (2, sum(side**2 for side in scales))
    logits.sum().backward()
    assert images.grad is not None
    assert (images.grad.abs().amax((1, 2, 3)) > 0).all()
    assert all(weight.grad is not None for weight in net.parameters())


def test_only_heads_learn_and_the_mixing_is_saved():
    net = discriminator(64)
    assert all(name.startswith("heads.") for name, _ in net.named_parameters())
    other = ProjectedDiscriminator(features, WIDTHS, 64)  # with other random mixing
    images = torch.rand(2, 3, 64, 64)
    net.eval(), other.eval()
    assert not torch.equal(net(images), other(images))
    other.load_state_dict(net.state_dict())
    assert torch.equal(net(images), other(images))


def test_fine_heads_see_coarse_features():
    """Mixing goes from coarse to fine: a change of the coarsest features alone reaches the finest head."""
    net = discriminator(64).eval()
    given = features(torch.rand(1, 3, 64, 64))
    net.features = lambda _: given
    before = net(torch.empty(0))
    given[3] = given[3] + 1
    assert ((net(torch.empty(0)) - before)[:, :64].abs() > 0).all()


def test_heads_are_spectrally_normalised():
    net = discriminator(64).train()
    for _ in range(50):  # power iterations
        net(torch.rand(1, 3, 64, 64))
    for head in net.heads:
        for layer in head[::2]:
            assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(1, abs=0.05)
