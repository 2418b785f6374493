"""Identity preservation: distances between a recogniser's descriptors, identification and verification.

Distances are Euclidean, between descriptors as the recogniser returns them: a recogniser that compares angles returns
unit vectors, whose Euclidean distances are ordered like the angles.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from hsc.metrics.per_image import PerImage

CHUNK = 64  # rows of a distance matrix held at once


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances [N, M], float64, of descriptors [N, d] and [M, d].

    Each is computed separately: the rounding of a matrix product would depend on the other rows.
    """
    return torch.cdist(a.double(), b.double(), compute_mode="donot_use_mm_for_euclid_dist")


def gallery_ranks(decoded: Tensor, own: Tensor, gallery: Tensor) -> Tensor:
    """int64 [N]: rank of the original, gallery[own[n]], of each decoded face [N, d] in the gallery [G, d].

    Rank 1 is the nearest. Other originals at the same distance count as nearer, so a recogniser that maps all faces to
    one point identifies no one.
    """
    ranks = []
    for faces, index in zip(decoded.split(CHUNK), own.split(CHUNK), strict=True):
        distance = distances(faces, gallery)
        ranks.append((distance <= distance.gather(1, index[:, None])).sum(dim=1))
    return torch.cat(ranks)


def own_distances(pairs: Tensor) -> Tensor:
    """Distances [N] of pairs [N, 2d]: the descriptor of an original, and that of the decoded face."""
    originals, decoded = pairs.chunk(2, dim=1)
    return (originals - decoded).norm(dim=1)


class IdentityAccuracy(PerImage):
    """Rank-1 accuracy: the share of decoded faces whose nearest original is their own, and the mean distance to it.

    Its inputs are pairs of descriptors, [N, 2d], of original and decoded face. The gallery is the originals of all
    images seen; accuracy decreases with its size.
    """

    gallery_size = 0  # known after compute()

    def named(self, values: Tensor) -> dict[str, Tensor]:
        return {"identity_distance": own_distances(values)}

    def compute(self) -> dict[str, Tensor]:
        """`identity_accuracy` in [0, 1] and `identity_distance`; empty if there were no images."""
        keys, values = self.table()
        if not len(keys):
            return {}
        originals, decoded = values.chunk(2, dim=1)
        self.gallery_size = len(keys)
        ranks = gallery_ranks(decoded, torch.arange(len(keys), device=keys.device), originals)
        return {
            "identity_accuracy": (ranks == 1).double().mean(),
            "identity_distance": own_distances(values).mean(),
        }


class VerificationScores(NamedTuple):
    auc: float  # probability that a pair of one person is closer than a pair of two
    accuracy: float | None  # balanced accuracy at the threshold; None without a threshold
    tar: float  # share of same-person pairs accepted when at most `far` of the others are
    identified: float  # share of probes, of people with several images, whose nearest other image is of the same person


def verification_scores(
    probes: Tensor,  # [N, d] descriptors, for example of decoded faces
    references: Tensor,  # [N, d] descriptors of the originals, in the same order
    labels: Tensor,  # [N] integers, equal for the same person
    threshold: float | None = None,
    far: float = 1e-3,
) -> VerificationScores:
    """Every probe against the references of all *other* images, exactly; only same-person pairs are held in memory.

    `threshold`: pairs below this distance are accepted as the same person. `far`: the false accept rate at which the
    true accept rate is read. Raises ValueError if there are no same-person or no different-person pairs.
    """
    own, identified = [], []
    for distance, same, other in _pairs(probes, references, labels):
        own.append(distance[same])
        nearest = distance.masked_fill(~(same | other), torch.inf).argmin(dim=1)
        identified.append(same.gather(1, nearest[:, None])[:, 0][same.any(dim=1)])
    same = torch.cat(own).sort().values
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
        identified=torch.cat(identified).double().mean().item(),
    )


def _pairs(probes: Tensor, references: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Chunks of (distances, same person, different person), each [≤ CHUNK, N]; an image is never paired with itself."""
    index = torch.arange(len(labels), device=labels.device)
    for chunk in index.split(CHUNK):
        same = labels[chunk, None] == labels
        yield distances(probes[chunk], references), same & (chunk[:, None] != index), ~same
