"""Is it still the same person? Distances between the embeddings of a recogniser.

Distances are Euclidean, between embeddings as the recogniser returns them: one that compares by angle returns unit
vectors, whose Euclidean distance orders pairs as the angle does.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hsc.metrics.per_image import PerImage, sorted_once

CHUNK = 64  # rows of a distance matrix held at once


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distances [N, M], float64, of embeddings [N, d] and [M, d].

    Each is computed on its own: the rounding of a matrix product would depend on the other rows.
    """
    return torch.cdist(a.double(), b.double(), compute_mode="donot_use_mm_for_euclid_dist")


def gallery_ranks(decoded: Tensor, own: Tensor, gallery: Tensor) -> Tensor:
    """int64 [N]: at which place each decoded face [N, d] finds its original gallery[own[n]] among gallery [G, d].

    1 is the nearest. An original equally far counts as nearer, so a recogniser that maps all faces to one point finds
    nobody.
    """
    ranks = []
    for faces, index in zip(decoded.split(CHUNK), own.split(CHUNK), strict=True):
        distance = distances(faces, gallery)
        ranks.append((distance <= distance.gather(1, index[:, None])).sum(dim=1))
    return torch.cat(ranks)


class IdentityAccuracy(PerImage):
    """Rank-1 accuracy: the share of decoded faces whose nearest original is their own, and the mean distance to it.

    The gallery is the originals of all images seen, plus those of `gallery`, a PerImage of embeddings by name that
    may be shared by several metrics and outlives `reset`. Accuracy falls with the size of the gallery, so the size
    belongs to the reported name: `identity_accuracy.dlib@500` (see `reported_name`).
    """

    def __init__(self, gallery: PerImage | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gallery = gallery
        self.gallery_size = 0  # known after compute()

    def update(self, names: Sequence[str], originals: Tensor, decoded: Tensor) -> None:  # type: ignore[override]
        """Add images by name with the embeddings [N, d] of originals and decoded faces."""
        super().update(names, torch.cat([originals.double(), decoded.to(originals.device).double()], dim=1))

    def named(self, values: Tensor) -> dict[str, Tensor]:
        originals, decoded = values.chunk(2, dim=1)
        return {"identity_distance": (originals - decoded).norm(dim=1)}

    def compute(self) -> dict[str, Tensor]:
        """`identity_accuracy` in [0, 1] and `identity_distance`; nothing when no image was seen."""
        keys, values = self.table()
        if not len(keys):
            return {}
        originals, decoded = values.chunk(2, dim=1)
        gallery_keys, gallery = self._all_originals(keys, originals)
        self.gallery_size = len(gallery)
        ranks = gallery_ranks(decoded, torch.searchsorted(gallery_keys, keys), gallery)
        return {
            "identity_accuracy": (ranks == 1).double().mean(),
            "identity_distance": self.named(values)["identity_distance"].mean(),
        }

    def reported_name(self, judge: str) -> str:
        """The accuracy's name in result files, after `compute`."""
        return f"identity_accuracy.{judge}@{self.gallery_size}"

    def _all_originals(self, keys: Tensor, originals: Tensor) -> tuple[Tensor, Tensor]:
        if self.gallery is None:
            return keys, originals
        more_keys, more = self.gallery.compute()
        # torchmetrics squeezes tensors of one element.
        more_keys, more = more_keys.reshape(-1).to(keys.device), more.reshape(-1, originals.shape[1]).to(keys.device)
        return sorted_once(torch.cat([keys, more_keys]), torch.cat([originals, more]))
