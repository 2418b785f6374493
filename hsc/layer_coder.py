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


class DecodedLayer(NamedTuple):
    """One layer of N faces, as decoded."""

    symbols: Tensor  # int64 [N, rows, dim]
    latents: Tensor  # [N, rows, dim]
    progress: Progress  # after the layer


class CodedLayer(NamedTuple):
    """One layer of N faces, as encoded."""

    chunks: list[bytes]  # N payloads
    row_bits: Tensor  # [N, rows] ideal bits, −log2 of the table's frequencies
    decoded: DecodedLayer  # the same as the decoder's


class LayerCoder:
    """Codes layer after layer. `position` is always the quality of each face as stored in its file (`hsc.nets.levels`),
    int64 [N]. Latents are on the device of `gain`, symbols on the CPU.
    """

    def __init__(self, entropy: IntegerEntropyTransformer, table: FrequencyTable, gain: Gain) -> None:
        self.entropy, self.table, self.gain = entropy, table, gain
        self._per_level = positions_per_level(len(gain.log[0]))

    def quality(self, position: Tensor) -> Tensor:
        """[N] in levels, on the device of the gains."""
        return position.to(self.gain.log[0].device) / self._per_level

    def encode(self, latents: Sequence[Tensor], position: Tensor) -> list[CodedLayer]:
        """Quantise and code the latents [N, rows, dim] of the first len(latents) layers."""
        progress, coded = self.entropy.begin(position), list[CodedLayer]()
        for values in latents:
            coded.append(self._encode(progress, values, position))
            progress = coded[-1].decoded.progress
        return coded

    def decode(
        self, chunks: Sequence[Sequence[bytes]], position: Tensor, known: Sequence[DecodedLayer] = ()
    ) -> list[DecodedLayer]:
        """The chunks of N files → all layers; layers that no file holds are their conditional means. known: the first
        layers, if already decoded; their chunks are ignored. Raises HscError for a damaged chunk.
        """
        progress, decoded = known[-1].progress if known else self.entropy.begin(position), list(known)
        for layer in range(len(known), len(self.entropy.layer_rows)):
            # A missing layer is equivalent to an empty one.
            sent = [own[layer] if layer < len(own) else b"" for own in chunks]
            decoded.append(self._decode(progress, sent, position))
            progress = decoded[-1].progress
        return decoded

    def _encode(self, progress: Progress, latents: Tensor, position: Tensor) -> CodedLayer:
        (mean, classes), gain = self._expected(progress), self._gain(progress, position)
        residual = (latents * gain).cpu() - mean / 2**LATENT_BITS
        symbols = economical_round(residual, lambda symbols: self._bits(symbols, classes)).long()
        pairs = zip(symbols.flatten(1).numpy(), classes.flatten(1).numpy(), strict=True)
        chunks = [encode_chunk(own, of_class, self.table) for own, of_class in pairs]
        return CodedLayer(chunks, self._bits(symbols, classes).sum(-1), self._decoded(progress, symbols, gain))

    def _decode(self, progress: Progress, chunks: Sequence[bytes], position: Tensor) -> DecodedLayer:
        """The conditional mean of the layer for empty chunks."""
        classes = self._expected(progress).scale_class
        symbols = torch.zeros_like(classes)
        if any(chunks):
            pairs = zip(chunks, classes.flatten(1).numpy(), strict=True)
            read = np.stack([decode_chunk(chunk, of_class, self.table) for chunk, of_class in pairs])
            symbols = torch.from_numpy(read.astype(np.int64)).view(classes.shape)
        return self._decoded(progress, symbols, self._gain(progress, position))

    def _bits(self, symbols: Tensor, classes: Tensor) -> Tensor:
        return torch.from_numpy(self.table.bits(symbols.long().numpy(), classes.numpy()))

    @staticmethod
    def _expected(progress: Progress) -> IntegerParameters:
        assert progress.expected is not None, "there is no layer left"
        return progress.expected

    def _gain(self, progress: Progress, position: Tensor) -> Tensor:
        return self.gain.rows(self.quality(position), self.entropy.layer_rows[progress.layer])

    def _decoded(self, progress: Progress, symbols: Tensor, gain: Tensor) -> DecodedLayer:
        quantised = (symbols << LATENT_BITS) + self._expected(progress).mean
        latents = (quantised / 2**LATENT_BITS).float().to(gain.device) / gain
        return DecodedLayer(symbols, latents, self.entropy.advance(progress, quantised))
