"""How sure is a mean? Percentile bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13)."""

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
    generator = np.random.default_rng(seed)
    rows = max(1, CHUNK // array.size)
    means = np.concatenate(
        [
            array[generator.integers(array.size, size=(min(rows, resamples - start), array.size))].mean(axis=1)
            for start in range(0, resamples, rows)
        ]
    )
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(array.mean()), float(low), float(high))
