"""What the latents are made of: how often each integer occurs."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hsc.metrics.per_image import PerImage


class SymbolCounts(PerImage):
    """Counts of the symbols −limit … limit; those beyond are counted at the ends.

    Kept by image, so that a padding sampler counts nothing twice.
    """

    def __init__(self, limit: int = 32, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.limit = limit

    def update(self, names: Sequence[str], symbols: Tensor) -> None:
        """Add images by name with their integers [N, ...]."""
        bins = 2 * self.limit + 1
        clipped = symbols.detach().flatten(1).round().long().clamp(-self.limit, self.limit) + self.limit
        counts = torch.zeros(len(clipped), bins, dtype=torch.int64, device=clipped.device)
        super().update(names, counts.scatter_add_(1, clipped, torch.ones_like(clipped)))

    def compute(self) -> Tensor:
        """int64 [2 · limit + 1]."""
        keys, values = self.table()
        if not len(keys):
            return torch.zeros(2 * self.limit + 1, dtype=torch.int64, device=self.device)
        return values.sum(dim=0).long()
