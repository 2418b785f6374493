"""Latents of one layer ↔ the bytes of its chunk, given the layers before it.

```
latents·gain ─(− mean)─ round ─▶ symbols ─range coder─▶ chunk
                  ▲                 │
  integer entropy transformer ◀── ŷ = symbols + mean
```
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hsc.coding.chunk import ChunkDecoder, encode_chunk
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
    classes: Tensor  # int64 [N, rows, dim], the row of the frequency table that each symbol was coded under
    progress: Progress  # after the layer


class DecodedLayer(NamedTuple):
    """One layer of N faces, as a decoder knows it."""

    symbols: Tensor  # int64 [N, rows, dim]
    latents: Tensor  # [N, rows, dim]
    progress: Progress  # after the layer


class LayerCoder:
    """`rows_per_layer`: rows of each layer, in coding order. `position` is always the quality of each face as its file
    says it (`hsc.nets.levels`), int64 [N].

    `progress` is where the entropy model stands before the layer; latents are on the device of `gain`, symbols not.
    """

    def __init__(
        self, rows_per_layer: Sequence[int], entropy: IntegerEntropyTransformer, table: FrequencyTable, gain: Gain
    ) -> None:
        self.entropy, self.table, self.gain = entropy, table, gain
        ends = np.cumsum(rows_per_layer).tolist()
        self._per_level = positions_per_level(len(gain.log[0]))
        self._bands = [range(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]

    def begin(self, position: Tensor) -> Progress:
        """Before the first layer."""
        return self.entropy.begin(position)

    def quality(self, position: Tensor) -> Tensor:
        """[N] in levels, where the gains are."""
        return position.to(self.gain.log[0].device) / self._per_level

    def encode(self, progress: Progress, layer: int, latents: Tensor, position: Tensor) -> CodedLayer:
        """Quantise and code the latents [N, rows, dim] of a layer."""
        classes: list[Tensor] = []

        def quantise(expected: IntegerParameters, rows: range, gain: Tensor) -> Tensor:
            scaled = (latents[:, rows.start : rows.stop] * gain).cpu()
            classes.append(expected.scale_class)
            residual = scaled - expected.mean / 2**LATENT_BITS
            return economical_round(residual, lambda symbols: self._bits(symbols, expected.scale_class)).long()

        symbols, decoded, progress = self._code(progress, layer, position, quantise)
        all_classes = torch.cat(classes, 1)
        bits = self._bits(symbols, all_classes).sum(-1)
        pairs = zip(symbols.flatten(1).numpy(), all_classes.flatten(1).numpy(), strict=True)
        chunks = [encode_chunk(s, c, self.table) for s, c in pairs]
        return CodedLayer(symbols, bits, chunks, decoded, all_classes, progress)

    def _bits(self, symbols: Tensor, classes: Tensor) -> Tensor:
        return torch.from_numpy(self.table.bits(symbols.long().numpy(), classes.numpy()))

    def decode(self, progress: Progress, layer: int, chunks: Sequence[bytes], position: Tensor) -> DecodedLayer:
        """N chunks → a layer; without any, or of empty ones, the layer's conditional mean.

        Raises HscError for a damaged chunk.
        """
        if not any(chunks):
            return DecodedLayer(
                *self._code(progress, layer, position, lambda expected, *_: torch.zeros_like(expected.mean))
            )
        decoders = [ChunkDecoder(chunk, self.table) for chunk in chunks]

        def read(expected: IntegerParameters, rows: range, gain: Tensor) -> Tensor:
            classes = expected.scale_class.flatten(1).numpy()
            integers = np.stack([decoder.decode(c) for decoder, c in zip(decoders, classes, strict=True)])
            return torch.from_numpy(integers.astype(np.int64)).view(expected.mean.shape)

        decoded = DecodedLayer(*self._code(progress, layer, position, read))
        for decoder in decoders:
            decoder.finish()
        return decoded

    def _code(
        self,
        progress: Progress,
        layer: int,
        position: Tensor,
        symbols_of: Callable[[IntegerParameters, range, Tensor], Tensor],
    ) -> tuple[Tensor, Tensor, Progress]:
        """Symbols, latents and progress of a layer, step by step.

        `symbols_of`: (what a step is expected to hold, its rows within the layer, their gain [N, rows, dim]) → symbols.
        """
        band, symbols, latents = self._bands[layer], [], []
        quality = self.quality(position)
        while progress.expected is not None and (rows := self.entropy.step_rows[progress.step]).start in band:
            gain = self.gain.rows(quality, rows)
            within = range(rows.start - band.start, rows.stop - band.start)
            symbols.append(symbols_of(progress.expected, within, gain))
            quantised = (symbols[-1] << LATENT_BITS) + progress.expected.mean
            latents.append((quantised / 2**LATENT_BITS).float().to(gain.device) / gain)
            progress = self.entropy.advance(progress, quantised)
        return torch.cat(symbols, 1), torch.cat(latents, 1), progress
