"""Rate: bits of a file per pixel of the original image, and histograms of the coded symbols."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hsc.metrics.per_image import PerImage, PerImageMean


class BitsPerPixel(PerImageMean):
    """Mean rate of one prefix of the files.

    `bytes`: length of the real file up to and including this layer; `bpp`: the same in bits per pixel; `bpp_estimated`:
    the entropy model's −log2 p of the same symbols; `bpp_layer`: bits that this layer adds to the file. A rate that is
    unknown (NaN: nothing was coded) is left out.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("bytes", "bpp", "bpp_estimated", "bpp_layer", **kwargs)

    def update(  # type: ignore[override]
        self,
        names: Sequence[str],
        file_bytes: Tensor,  # [N] length of the file up to this layer
        bits_estimated: Tensor,  # [N] of all layers so far
        bytes_before: Tensor,  # [N] length of the file without this layer; 0 for the first
        pixels: int,  # height × width of the original images
    ) -> None:
        bits, added = 8 * file_bytes.double(), 8 * (file_bytes - bytes_before).double()
        rates = [rate / pixels for rate in (bits, bits_estimated.double(), added)]
        super().update(names, torch.stack([file_bytes.double(), *rates], dim=1))


class SymbolCounts(PerImage):
    """Counts of the symbols −limit … limit; those beyond are counted at the ends.

    Stored per image, so that images repeated by a padding sampler are counted once.
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
