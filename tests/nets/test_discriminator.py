"""The discriminator and its batch deviation."""

import pytest
import torch

from hsc.nets.discriminator import Discriminator, append_batch_deviation


def test_one_logit_an_image_and_gradients_of_gradients():
    torch.manual_seed(0)
    net = Discriminator([16, 16, 8, 8])
    images = torch.randn(4, 3, 32, 32, requires_grad=True)
    logits = net(images)
    assert logits.shape == (4,)
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    gradient.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters() if p.ndim > 1)


@pytest.mark.parametrize(("n", "group"), [(8, 4), (6, 3), (4, 4), (5, 1), (1, 1)])
def test_batch_deviation_by_hand(n: int, group: int):
    """Groups of the largest size up to 4 that divides the batch: images i, i + n/group, i + 2n/group, …"""
    torch.manual_seed(0)
    x = torch.randn(n, 2, 3, 3, dtype=torch.float64)
    appended = append_batch_deviation(x, group_size=4)
    assert torch.equal(appended[:, :2], x)
    groups = n // group
    for image in range(n):
        members = x[image % groups :: groups]
        assert len(members) == group
        expected = (members.var(0, unbiased=False) + 1e-8).sqrt().mean()
        torch.testing.assert_close(appended[image, 2], expected.expand(3, 3))


def test_equal_images_have_no_deviation():
    appended = append_batch_deviation(torch.ones(4, 2, 3, 3), 4)
    assert appended[:, 2].max() < 1.1e-4  # the square root of the ε that keeps the gradient finite
