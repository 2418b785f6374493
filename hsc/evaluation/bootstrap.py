"""How sure is a mean, or what is computed from means?

Percentile bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13)."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

CHUNK = 1 << 20  # resampled values held at once


class Interval(NamedTuple):
    mean: float
    low: float
    high: float


def bootstrap_interval(values: ArrayLike, confidence: float = 0.95, resamples: int = 2000, seed: int = 0) -> Interval:
    """Mean of the values of single images [N], and the interval it is likely to lie in.

    To compare two codecs on the same images give the differences image by image: the interval is then paired and much
    tighter than two separate ones. The same arguments give the same interval. Raises ValueError without values.
    """
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    if not array.size:
        raise ValueError("no values to take the mean of")
    means = np.concatenate([array[chosen].mean(axis=1) for chosen in _resamples(array.size, resamples, seed)])
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(array.mean()), float(low), float(high))


def resampled_means(values: np.ndarray, resamples: int = 2000, seed: int = 0) -> np.ndarray:
    """Values of single images [C, N] → means [resamples, C] over those that are finite.

    Equal N and seed draw the same images, so what is computed from several such means is paired.
    """
    known = np.isfinite(values)
    pair = np.concatenate([np.where(known, values, 0), known]).T  # sums, and of how many
    count = values.shape[1]
    parts = []
    for chosen in _resamples(count, resamples, seed):
        cells = chosen + count * np.arange(len(chosen))[:, None]
        weights = np.bincount(cells.ravel(), minlength=chosen.size).reshape(chosen.shape)
        parts.append(weights @ pair)
    sums, counts = np.split(np.concatenate(parts), 2, axis=1)
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def _resamples(count: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """`resamples` draws of `count` places with replacement, some rows at a time."""
    generator = np.random.default_rng(seed)
    rows = max(1, CHUNK // count)
    for start in range(0, resamples, rows):
        yield generator.integers(count, size=(min(rows, resamples - start), count))
