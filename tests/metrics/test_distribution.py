"""Fréchet and kernel distance compared with other implementations on the same features."""

import numpy as np
import pytest
import scipy.linalg
import torch
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from hsc.errors import HscError
from hsc.metrics.distribution import (
    FeatureSet,
    FeatureStatistics,
    distances_of_halves,
    distribution_distances,
    frechet_distance,
    kernel_distance,
)

DIMENSIONS = 24


def features(count: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    """Correlated, positive and not centred, like features after a ReLU."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(DIMENSIONS, DIMENSIONS, generator=torch.Generator().manual_seed(99))
    return (torch.randn(count, DIMENSIONS, generator=generator) @ mixing + 2 + shift).relu()


def statistics(values: torch.Tensor, prefix: str = "image", batch: int = 97, **options) -> FeatureSet:
    metric = FeatureStatistics(values.shape[1], **options)
    for part in torch.arange(len(values)).split(batch):
        metric.update([f"{prefix}-{index}" for index in part], values[part])
    return metric.compute()


class Given(torch.nn.Module):
    """An "extractor" for torchmetrics that returns its input."""

    num_features = DIMENSIONS

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values


@pytest.fixture(scope="module")
def two_sets() -> tuple[torch.Tensor, torch.Tensor]:
    return features(1000, 0), features(900, 1, shift=1.5)


def test_streaming_moments_equal_numpy(two_sets):
    values = two_sets[0]
    moments = statistics(values).moments
    assert moments.images == 1000
    np.testing.assert_allclose(moments.mean, values.double().mean(0), rtol=1e-12)
    np.testing.assert_allclose(moments.covariance, np.cov(values.double().numpy().T), rtol=1e-9, atol=1e-9)


def test_frechet_equals_torchmetrics_and_the_matrix_root(two_sets):
    reference = FrechetInceptionDistance(feature=Given(), normalize=False)
    reference.update(two_sets[0], real=True)
    reference.update(two_sets[1], real=False)
    a, b = (statistics(values).moments for values in two_sets)
    ours = frechet_distance(a, b)
    assert ours == pytest.approx(reference.compute().item(), rel=1e-3)
    root = scipy.linalg.sqrtm(a.covariance.numpy() @ b.covariance.numpy()).real
    by_root = ((a.mean - b.mean) ** 2).sum() + (a.covariance + b.covariance).trace() - 2 * np.trace(root)
    assert ours == pytest.approx(by_root.item(), rel=1e-9)


def test_frechet_of_a_set_and_itself_is_zero_even_with_fewer_images_than_features():
    values = features(10, 3)
    moments = statistics(values).moments
    assert frechet_distance(moments, moments) == pytest.approx(0, abs=1e-6)


def test_kernel_distance_equals_torchmetrics_on_whole_sets(two_sets):
    a, b = two_sets[0][:600], two_sets[1][:600]
    reference = KernelInceptionDistance(feature=Given(), subsets=1, subset_size=600, normalize=False)
    reference.update(a, real=True)
    reference.update(b, real=False)
    ours = kernel_distance(statistics(a, "a"), statistics(b, "b"))
    assert ours == pytest.approx(reference.compute()[0].item(), rel=1e-3)


def test_kernel_distance_of_subsets_comes_near_that_of_all(two_sets):
    a, b = (statistics(values, prefix) for values, prefix in zip(two_sets, "ab", strict=True))
    everything = kernel_distance(a, b, subset_size=2000)
    assert kernel_distance(a, b, subsets=20, subset_size=500) == pytest.approx(everything, rel=0.1)


def test_kernel_distance_is_unbiased_for_versions_of_the_same_images():
    # If products of an image with its own copy were included, perfect decoding would score far below 0.
    a = statistics(features(600, 0))
    assert kernel_distance(a, a) == pytest.approx(0, abs=1e-12)


def test_the_kept_features_are_the_same_images_in_any_order(two_sets):
    values = two_sets[0]
    forwards = FeatureStatistics(DIMENSIONS, keep=100)
    backwards = FeatureStatistics(DIMENSIONS, keep=100)
    for part in torch.arange(1000).split(64):
        forwards.update([f"{index}" for index in part], values[part])
        stored = sum(map(len, forwards.keys))
        assert stored <= 200
    for part in torch.arange(999, -1, -1).split(50):
        backwards.update([f"{index}" for index in part], values[part])
    one, other = forwards.compute(), backwards.compute()
    assert len(one.keys) == 100
    assert torch.equal(one.keys, other.keys)
    assert torch.equal(one.features, other.features)


def test_halves_are_disjoint_and_near(two_sets):
    originals = statistics(two_sets[0])
    assert sum(half.images for half in originals.halves) == 1000
    assert all(450 < half.images < 550 for half in originals.halves)
    frechet, kid = distances_of_halves(originals)
    far_frechet, far_kid = distribution_distances(originals, statistics(two_sets[1], "other"))
    assert 0 < frechet < far_frechet / 3
    assert abs(kid) < far_kid / 10


def test_few_images_are_refused():
    many, few = statistics(features(500, 0)), statistics(features(499, 1))
    distribution_distances(many, many)
    with pytest.raises(HscError, match="at least 500 images, not 499"):
        distribution_distances(many, few)
