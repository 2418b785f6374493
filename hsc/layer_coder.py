"""Latents of one layer ↔ the bytes of its chunk, given the layers before it.

```
latents·gain ─(− mean)─ round ─▶ symbols ─range coder─▶ chunk
                  ▲                 │
  integer entropy transformer ◀── ŷ = symbols + mean
```
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hsc.coding.chunk import decode_chunk, encode_chunk
from hsc.coding.tables import FrequencyTable
from hsc.nets.entropy_integer import IntegerEntropyTransformer, IntegerParameters, Progress
from hsc.nets.fixed_point import LATENT_BITS
from hsc.nets.levels import positions_per_level
from hsc.nets.quantise import Gain, economical_round


class CodedLayer(NamedTuple):
    """One layer of N faces, as an encoder makes it."""

    symbols: Tensor  # int64 [N, rows, dim]
    row_bits: Tensor  # [N, rows] ideal bits, −log2 of the table's frequencies
    chunks: list[bytes]  # N payloads
    latents: Tensor  # [N, rows, dim] as a decoder will know them
    progress: Progress  # after the layer


class DecodedLayer(NamedTuple):
    """One layer of N faces, as a decoder knows it."""

    symbols: Tensor  # int64 [N, rows, dim]
    latents: Tensor  # [N, rows, dim]
    progress: Progress  # after the layer


class LayerCoder:
    """Codes layer after layer. `position` is always the quality of each face as its file says it (`hsc.nets.levels`),
    int64 [N].

    `progress` is where the entropy model stands before the layer; latents are on the device of `gain`, symbols not.
    """

    def __init__(self, entropy: IntegerEntropyTransformer, table: FrequencyTable, gain: Gain) -> None:
        self.entropy, self.table, self.gain = entropy, table, gain
        self._per_level = positions_per_level(len(gain.log[0]))

    def begin(self, position: Tensor) -> Progress:
        """Before the first layer."""
        return self.entropy.begin(position)

    def quality(self, position: Tensor) -> Tensor:
        """[N] in levels, where the gains are."""
        return position.to(self.gain.log[0].device) / self._per_level

    def encode(self, progress: Progress, latents: Tensor, position: Tensor) -> CodedLayer:
        """Quantise and code the latents [N, rows, dim] of the next layer."""
        (mean, classes), gain = self._expected(progress), self._gain(progress, position)
        residual = (latents * gain).cpu() - mean / 2**LATENT_BITS
        symbols = economical_round(residual, lambda symbols: self._bits(symbols, classes)).long()
        bits = self._bits(symbols, classes).sum(-1)
        pairs = zip(symbols.flatten(1).numpy(), classes.flatten(1).numpy(), strict=True)
        chunks = [encode_chunk(own, of_class, self.table) for own, of_class in pairs]
        return CodedLayer(symbols, bits, chunks, *self._decoded(progress, symbols, gain))

    def decode(self, progress: Progress, chunks: Sequence[bytes], position: Tensor) -> DecodedLayer:
        """N chunks → the next layer; without any, or of empty ones, the layer's conditional mean.

        Raises HscError for a damaged chunk.
        """
        classes = self._expected(progress).scale_class
        symbols = torch.zeros_like(classes)
        if any(chunks):
            pairs = zip(chunks, classes.flatten(1).numpy(), strict=True)
            read = np.stack([decode_chunk(chunk, of_class, self.table) for chunk, of_class in pairs])
            symbols = torch.from_numpy(read.astype(np.int64)).view(classes.shape)
        return DecodedLayer(symbols, *self._decoded(progress, symbols, self._gain(progress, position)))

    def _bits(self, symbols: Tensor, classes: Tensor) -> Tensor:
        return torch.from_numpy(self.table.bits(symbols.long().numpy(), classes.numpy()))

    @staticmethod
    def _expected(progress: Progress) -> IntegerParameters:
        assert progress.expected is not None, "there is no layer left"
        return progress.expected

    def _gain(self, progress: Progress, position: Tensor) -> Tensor:
        return self.gain.rows(self.quality(position), self.entropy.layer_rows[progress.layer])

    def _decoded(self, progress: Progress, symbols: Tensor, gain: Tensor) -> tuple[Tensor, Progress]:
        """Latents of a layer, and the progress after it."""
        quantised = (symbols << LATENT_BITS) + self._expected(progress).mean
        latents = (quantised / 2**LATENT_BITS).float().to(gain.device) / gain
        return latents, self.entropy.advance(progress, quantised)
