"""Fréchet and kernel distance between decoded images and originals, as sets, over a judge's features.

Both compare distributions, so they detect what per-image comparisons cannot: that all faces become more alike. The
Fréchet distance (Heusel et al. 2017) is biased upwards for few images; the kernel distance (KID, Bińkowski et al. 2018)
is not, so it is the one to rank by.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hsc.errors import HscError
from hsc.metrics.per_image import PerImage, image_keys

MINIMUM_IMAGES = 500  # with fewer, both numbers are mostly noise


class Moments(NamedTuple):
    images: int
    mean: Tensor  # [d] float64
    covariance: Tensor  # [d, d] float64, unbiased


class FeatureSet(NamedTuple):
    """Statistics of the features of one set of images."""

    moments: Moments
    halves: tuple[Moments, Moments]  # of two disjoint parts of the set, split by name
    keys: Tensor  # [M] hashed names of the kept features, ascending
    features: Tensor  # [M, d] float64, a uniform sample of the set


class FeatureStatistics(PerImage):
    """Streaming mean and covariance of features, in float64, and a sample of the features for KID.

    At most 2 · `keep` are held, and the `keep` with the lowest hashes of their names are used: a uniform sample that
    depends neither on the order of the images nor on the number of processes, and is the same for originals and decoded
    images. Mean and covariance count an image twice if a padding sampler repeats it.
    """

    counts: Tensor
    sums: Tensor
    products: Tensor

    def __init__(self, num_features: int, keep: int = 5000, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.keep = keep
        # For each of the two halves, [2]; the whole set is their sum.
        self.add_state("counts", torch.zeros(2, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("sums", torch.zeros(2, num_features, dtype=torch.float64), dist_reduce_fx="sum")
        products = torch.zeros(2, num_features, num_features, dtype=torch.float64)
        self.add_state("products", products, dist_reduce_fx="sum")

    def update(self, names: Sequence[str], features: Tensor) -> None:
        """Add images by name with their features [N, d]."""
        features = features.detach().to(self.device, torch.float64)
        odd = (image_keys(names).to(self.device) & 1).bool()
        halves = (features[~odd], features[odd])
        self.counts = self.counts + torch.stack([~odd, odd]).sum(dim=1)
        self.sums = self.sums + torch.stack([half.sum(dim=0) for half in halves])
        self.products = self.products + torch.stack([half.T @ half for half in halves])
        super().update(names, features)
        if sum(map(len, self.keys)) > 2 * self.keep:
            keys, values = self.table()
            self.keys, self.values = [keys[: self.keep]], [values[: self.keep]]

    def compute(self) -> FeatureSet:
        """The statistics; moments are NaN if there are fewer than two images."""
        keys, features = self.table()
        return FeatureSet(
            _moments(self.counts.sum(), self.sums.sum(dim=0), self.products.sum(dim=0)),
            tuple(map(_moments, self.counts, self.sums, self.products)),  # type: ignore[arg-type]
            keys[: self.keep],
            features[: self.keep],
        )


def frechet_distance(a: Moments, b: Moments) -> float:
    """|μa − μb|² + tr(Σa + Σb − 2 (Σa Σb)^½), the squared distance of two Gaussians.

    The trace of the root is the sum of the roots of the eigenvalues of Σa^½ Σb Σa^½, which is symmetric, so it
    is also accurate if the covariances are singular (fewer images than features).
    """
    values, vectors = torch.linalg.eigh(a.covariance)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    eigenvalues = torch.linalg.eigvalsh(root @ b.covariance @ root).clamp(min=0)
    spread = a.covariance.trace() + b.covariance.trace() - 2 * eigenvalues.sqrt().sum()
    return ((a.mean - b.mean).square().sum() + spread).clamp(min=0).item()


def kernel_distance(a: FeatureSet, b: FeatureSet, subsets: int = 100, subset_size: int = 1000, seed: int = 0) -> float:
    """KID: the squared maximum mean discrepancy under (x·y ÷ d + 1)³, unbiased, so it may fall below 0.

    The mean over `subsets` random subsets of `subset_size` kept features, or the whole sets if they are not larger. The
    original and the decoded version of an image are not independent, so their product is left out of the mean over
    pairs; otherwise perfect decoding would score below 0.
    """
    size = min(len(a.keys), len(b.keys))
    if size <= subset_size:
        return _squared_discrepancy(a.keys, a.features, b.keys, b.features)
    generator = np.random.default_rng(seed)

    def draw(features: FeatureSet) -> tuple[Tensor, Tensor]:
        index = torch.from_numpy(generator.choice(len(features.keys), subset_size, replace=False))
        index = index.to(features.keys.device)
        return features.keys[index], features.features[index]

    return float(np.mean([_squared_discrepancy(*draw(a), *draw(b)) for _ in range(subsets)]))


def check_number(images: int) -> None:
    """Raise HscError if there are too few images for a meaningful distance."""
    if images < MINIMUM_IMAGES:
        raise HscError(f"needs at least {MINIMUM_IMAGES} images, not {images}: give it a larger data set")


def distribution_distances(originals: FeatureSet, decoded: FeatureSet) -> tuple[float, float]:
    """(Fréchet, kernel) distance. Raises HscError if there are too few images."""
    check_number(min(originals.moments.images, decoded.moments.images))
    return frechet_distance(originals.moments, decoded.moments), kernel_distance(originals, decoded)


def distances_of_halves(originals: FeatureSet) -> tuple[float, float]:
    """(Fréchet, kernel) distance between two disjoint halves of one set: differences below this floor mean nothing."""
    odd = (originals.keys & 1).bool()
    first, second = (
        originals._replace(keys=originals.keys[part], features=originals.features[part]) for part in (~odd, odd)
    )
    return frechet_distance(*originals.halves), kernel_distance(first, second)


def _moments(count: Tensor, total: Tensor, products: Tensor) -> Moments:
    mean = total / count
    return Moments(int(count), mean, (products - count * torch.outer(mean, mean)) / (count - 1))


def _squared_discrepancy(a_keys: Tensor, a: Tensor, b_keys: Tensor, b: Tensor) -> float:
    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / x.shape[1] + 1) ** 3

    def mean_of_others(x: Tensor) -> Tensor:
        similarity = kernel(x, x)
        return (similarity.sum() - similarity.trace()) / (len(x) * (len(x) - 1))

    different = a_keys[:, None] != b_keys
    across = (kernel(a, b) * different).sum() / different.sum()
    return (mean_of_others(a) + mean_of_others(b) - 2 * across).item()
