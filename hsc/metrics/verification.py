"""Verification on labelled identities: do two different photographs show the same person?"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hsc.metrics.identity import CHUNK, distances
from hsc.metrics.per_image import PerImage, image_keys


class VerificationScores(NamedTuple):
    auc: float  # probability that a pair of one person is closer than a pair of two
    accuracy: float | None  # mean of the shares of both kinds told rightly at the threshold; None without a threshold
    tar: float  # share of same-person pairs accepted where at most `far` of the others are
    same_pairs: int
    other_pairs: int


def verification_scores(
    probes: Tensor,  # [N, d] embeddings, for example of decoded faces
    references: Tensor,  # [N, d] embeddings of the originals, in the same order
    labels: Tensor,  # [N] integers, equal for one person
    threshold: float | None = None,
    far: float = 1e-3,
) -> VerificationScores:
    """Every probe against the references of all *other* images, exactly, with memory for the same-person pairs only.

    `threshold`: pairs below this distance are called the same person. `far`: the false accept rate at which the true
    accept rate is read. Raises ValueError when there is no pair of one of the two kinds.
    """
    same = torch.cat([distance[same] for distance, same, _ in _pairs(probes, references, labels)]).sort().values
    below, up_to = torch.zeros_like(same, dtype=torch.int64), torch.zeros_like(same, dtype=torch.int64)
    others = accepted = 0
    for distance, _, other in _pairs(probes, references, labels):
        impostors = distance[other].sort().values
        below += torch.searchsorted(impostors, same, side="left")
        up_to += torch.searchsorted(impostors, same, side="right")
        others += len(impostors)
        if threshold is not None:
            accepted += int((impostors < threshold).sum())
    if not len(same) or not others:
        raise ValueError("verification needs at least two images of one person and an image of another")
    accuracy = None
    if threshold is not None:
        accuracy = ((same < threshold).double().mean().item() + 1 - accepted / others) / 2
    return VerificationScores(
        auc=1 - ((below + up_to).double() / 2 / others).mean().item(),
        accuracy=accuracy,
        tar=(up_to <= far * others).double().mean().item(),
        same_pairs=len(same),
        other_pairs=others,
    )


class Verification(PerImage):
    """`verification_scores` of decoded faces against originals, over all processes."""

    def __init__(self, threshold: float | None = None, far: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold
        self.far = far

    def update(  # type: ignore[override]
        self, names: Sequence[str], people: Sequence[str], originals: Tensor, decoded: Tensor
    ) -> None:
        """Add images by name, with the name of the person and the embeddings [N, d] of original and decoded face."""
        # 53 bits of the hash: a double holds them exactly.
        person = (image_keys(people) >> 11).to(originals.device).double()
        super().update(names, torch.cat([person[:, None], originals.double(), decoded.double()], dim=1))

    def compute(self) -> dict[str, Tensor]:
        """`verification_auc`, `verification_tar` and, with a threshold, `verification_accuracy`, each in [0, 1]."""
        _, values = self.table()
        originals, decoded = values[:, 1:].chunk(2, dim=1)
        scores = verification_scores(decoded, originals, values[:, 0], self.threshold, self.far)
        named = {"auc": scores.auc, "tar": scores.tar, "accuracy": scores.accuracy}
        return {
            f"verification_{name}": torch.tensor(value, dtype=torch.float64)
            for name, value in named.items()
            if value is not None
        }


def _pairs(probes: Tensor, references: Tensor, labels: Tensor):
    """Chunks of (distances, same person, different person), each [≤ CHUNK, N]; an image is never paired with itself."""
    index = torch.arange(len(labels), device=labels.device)
    for chunk in index.split(CHUNK):
        same = labels[chunk, None] == labels
        yield distances(probes[chunk], references), same & (chunk[:, None] != index), ~same
