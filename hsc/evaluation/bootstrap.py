"""Confidence intervals of means, and of quantities computed from means: percentile bootstrap over images, by SciPy."""

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

CONFIDENCE = 0.95
AT_ONCE = 1 << 20  # resampled values held at once


class Interval(NamedTuple):
    mean: float
    low: float
    high: float


def bootstrap_interval(
    values: ArrayLike, confidence: float = CONFIDENCE, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Mean of per-image values [N], with its confidence interval.

    To compare two codecs on the same images, pass the per-image differences: the interval is then paired and much
    tighter than two separate ones. The same arguments give the same interval. Raises ValueError without values.
    """
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if not array.size:
        raise ValueError("no values to take the mean of")
    means = _resampled(array[None], resamples, seed)[:, 0]
    return Interval(float(array.mean()), *interval_of(means, confidence))


def interval_of(resampled: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The percentile interval of a quantity computed from each resample, [resamples]; NaNs are left out."""
    known = resampled[~np.isnan(resampled)]
    if not known.size:
        return np.nan, np.nan
    with np.errstate(invalid="ignore"):  # between two infinite means, such as PSNR of identical images
        low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def resampled_means(values: np.ndarray, resamples: int = 2000, seed: int = 0) -> np.ndarray:
    """Per-image values [C, N] → means [resamples, C] over those that are finite.

    The same N and seed draw the same images, so quantities computed from several such means are paired.
    """
    return _resampled(np.where(np.isfinite(values), values, np.nan), resamples, seed)


def _resampled(values: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Means [resamples, C] of values [C, N], leaving out NaNs."""
    from scipy import stats  # takes a second to import

    if values.shape[1] == 1:  # SciPy needs two
        return np.repeat(values.T, resamples, axis=0)
    with warnings.catch_warnings(action="ignore", category=stats.DegenerateDataWarning):  # all values are NaN
        found = stats.bootstrap(
            (values,),
            _mean_of_known if np.isnan(values).any() else np.mean,
            n_resamples=resamples,
            batch=max(1, AT_ONCE // values.size),
            axis=-1,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
    return found.bootstrap_distribution.T


def _mean_of_known(values: np.ndarray, axis: int) -> np.ndarray:
    """`np.nanmean` without a warning if all values are NaN."""
    known = ~np.isnan(values)
    counts = known.sum(axis=axis)
    sums = np.where(known, values, 0).sum(axis=axis)
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
