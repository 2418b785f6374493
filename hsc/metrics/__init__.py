"""torchmetrics over the answers of judges: streaming, and the same number for any number of processes.

Metrics hold no network. Whoever feeds them asks the judge, once for the originals whatever the number of layers.
"""

import hsc.compat  # noqa: F401  isort: skip  torchvision beside CPU torch, before Lightning and torchmetrics import it
from hsc.metrics.cache import RememberedAnswers
from hsc.metrics.distribution import (
    MINIMUM_IMAGES,
    FeatureSet,
    FeatureStatistics,
    Moments,
    distances_of_halves,
    distribution_distances,
    frechet_distance,
    kernel_distance,
)
from hsc.metrics.identity import IdentityAccuracy, gallery_ranks
from hsc.metrics.landmarks import LandmarkError, landmark_nme
from hsc.metrics.per_image import PerImage, PerImageMean
from hsc.metrics.rate import BitsPerPixel
from hsc.metrics.symbols import SymbolCounts
from hsc.metrics.verification import Verification, VerificationScores, verification_scores

__all__ = [
    "MINIMUM_IMAGES",
    "BitsPerPixel",
    "FeatureSet",
    "FeatureStatistics",
    "IdentityAccuracy",
    "LandmarkError",
    "Moments",
    "PerImage",
    "PerImageMean",
    "RememberedAnswers",
    "SymbolCounts",
    "Verification",
    "VerificationScores",
    "distances_of_halves",
    "distribution_distances",
    "frechet_distance",
    "gallery_ranks",
    "kernel_distance",
    "landmark_nme",
    "verification_scores",
]
