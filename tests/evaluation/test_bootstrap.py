"""Bootstrap intervals compared with theory."""

import warnings

import numpy as np
import pytest

from hsc.evaluation.bootstrap import bootstrap_interval, interval_of, resampled_means


def test_matches_the_normal_interval_of_a_mean():
    values = np.random.default_rng(1).normal(10, 2, size=400)
    mean, low, high = bootstrap_interval(values)
    half = 1.96 * values.std() / 20
    assert mean == values.mean()
    assert low == pytest.approx(mean - half, abs=0.03)
    assert high == pytest.approx(mean + half, abs=0.03)


def test_same_seed_same_interval_and_many_values_in_little_memory():
    values = np.random.default_rng(4).random(600_000)
    assert bootstrap_interval(values, resamples=20) == bootstrap_interval(values, resamples=20)
    assert bootstrap_interval(values[:100], seed=1) != bootstrap_interval(values[:100], seed=2)


def test_resamples_are_of_the_same_images_whatever_is_known_of_them():
    values = np.random.default_rng(5).random((3, 40))
    values[1] = values[0]
    values[2, ::2] = np.nan
    values[2, 1] = np.inf
    means = resampled_means(values, resamples=200)
    assert means.shape == (200, 3)
    np.testing.assert_array_equal(means[:, 0], means[:, 1])
    assert np.isfinite(means[:, 2]).all()
    assert interval_of(means[:, 0]) == pytest.approx(bootstrap_interval(values[0], resamples=200)[1:])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(resampled_means(np.full((1, 4), np.nan))).all()
        assert np.isnan(interval_of(np.full(9, np.nan))).all()
        assert np.isnan(interval_of(np.full(9, np.inf))).all()


def test_one_image_leaves_no_doubt():
    assert bootstrap_interval([3.0]) == (3, 3, 3)


def test_nothing_has_no_mean():
    with pytest.raises(ValueError, match="no values"):
        bootstrap_interval([])
