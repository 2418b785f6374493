"""The cost of symbols, gains, and rounding with a gradient."""

import functools

import pytest
import torch
from torch.distributions import Normal

from hsc.nets.quantise import BIT, RARE_BITS, Gain, economical_round, gaussian_bits, straight_through


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bits_are_those_of_the_normal_distribution(dtype: torch.dtype):
    residual = torch.linspace(-40, 40, 801, dtype=dtype)[:, None]
    log_scale = torch.linspace(-2.5, 3.4, 60, dtype=dtype)
    bits = gaussian_bits(residual, log_scale).double()
    # Mirrored into the lower tail, where the reference is precise too.
    distance, normal = residual.double().abs(), Normal(0.0, log_scale.double().exp())
    expected = -(normal.cdf(0.5 - distance) - normal.cdf(-0.5 - distance)).log2()
    common = expected < RARE_BITS
    assert 0.3 < common.float().mean() < 0.99
    torch.testing.assert_close(bits[common], expected[common], rtol=1e-4, atol=1e-5)
    assert (bits >= 0).all()
    torch.testing.assert_close(bits[~common], torch.full_like(bits[~common], RARE_BITS), rtol=1e-4, atol=0)


@pytest.mark.parametrize("size", [1.0, 3.0, 30.0])
@pytest.mark.parametrize("log_scale", [-2.5, 0.0, 3.4])
def test_bits_always_pull_residuals_towards_zero(size: float, log_scale: float):
    residual = torch.tensor([-size, size], requires_grad=True)
    bits = gaussian_bits(residual, torch.tensor(log_scale))
    bits.sum().backward()
    assert residual.grad[0] < 0 < residual.grad[1] < 100
    assert bits.isfinite().all()


def test_bits_pull_scales_to_the_size_of_residuals():
    log_scale = torch.tensor([-2.5, 3.0], requires_grad=True)
    gaussian_bits(torch.tensor([3.0, 3.0]), log_scale).sum().backward()
    assert log_scale.grad[0] < 0 < log_scale.grad[1]


def test_a_smaller_weight_of_the_rate_means_finer_steps():
    gain = Gain([0.4, 0.1, 0.025], dims=[3, 3, 5])
    rows = gain.rows(torch.tensor([0, 1, 2]), range(2))
    assert rows.shape == (3, 2, 3)
    assert (rows > 0).all()
    torch.testing.assert_close(rows[1:] / rows[:-1], torch.full((2, 2, 3), 2.0))  # λ^-½
    assert gain.rows(torch.tensor([1]), range(2, 3)).shape == (1, 1, 5)


def test_rounding_lets_the_gradient_through():
    x = torch.tensor([-1.4, 0.4, 2.6], requires_grad=True)
    rounded = straight_through(x.detach().round(), x)
    assert rounded.tolist() == [-1.0, 0.0, 3.0]
    (rounded * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert x.grad.tolist() == [1.0, 2.0, 3.0]


def test_rounding_takes_the_cheaper_of_two_neighbours():
    x = torch.linspace(-4, 4, 801)
    for log_scale in (-2.0, 0.0, 2.0):
        cost = functools.partial(gaussian_bits, log_scale=torch.tensor(log_scale))
        chosen = economical_round(x, cost)
        assert torch.equal(chosen, chosen.round())
        nearest = x.round()
        everything = torch.stack([nearest, nearest - nearest.sign()])
        least = ((everything - x).square() + BIT * cost(everything)).min(0).values
        torch.testing.assert_close((chosen - x).square() + BIT * cost(chosen), least)
        assert (chosen.abs() <= nearest.abs()).all()


def test_rounding_moves_to_zero_only_where_that_is_cheaper():
    x = torch.tensor([0.6, 0.9, -0.6, 1.55])
    assert economical_round(x, torch.zeros_like).tolist() == x.round().tolist()
    dear = economical_round(x, lambda symbols: 4 * symbols.abs())
    assert dear.tolist() == [0.0, 1.0, 0.0, 1.0]
