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

from hsc.coding.chunk import ChunkDecoder, encode_chunk
from hsc.coding.tables import FrequencyTable
from hsc.nets.entropy import Memory
from hsc.nets.entropy_integer import IntegerEntropyTransformer
from hsc.nets.fixed_point import LATENT_BITS
from hsc.nets.quantise import Gain


class CodedLayer(NamedTuple):
    """One layer of N faces."""

    symbols: Tensor  # int64 [N, rows, dim]
    row_bits: Tensor  # [N, rows] ideal bits, −log2 of the table's frequencies
    chunks: list[bytes]  # N payloads
    latents: Tensor  # [N, rows, dim] as a decoder will know them
    memory: Memory  # of all layers up to this one


class LayerCoder:
    """`rows_per_layer`: rows of each layer, in coding order. `quality` is always the level of each face, int64 [N]."""

    def __init__(
        self, rows_per_layer: Sequence[int], entropy: IntegerEntropyTransformer, table: FrequencyTable, gain: Gain
    ) -> None:
        self.entropy, self.table, self.gain = entropy, table, gain
        ends = np.cumsum(rows_per_layer).tolist()
        self._bands = [range(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]

    def begin(self, quality: Tensor) -> Memory:
        """Memory of no layer yet."""
        return self.entropy.begin(quality)

    def encode(self, memory: Memory, layer: int, latents: Tensor, quality: Tensor) -> CodedLayer:
        """Quantise and code the latents [N, rows, dim] of a layer."""
        symbols, classes, decoded = [], [], []
        for step, rows, gain in self._steps(layer, quality):
            mean, scale_class = self.entropy.predict(memory, step)
            start = rows.start - self._bands[layer].start
            residual = latents[:, start : start + len(rows)] * gain - mean / 2**LATENT_BITS
            symbols.append(residual.round().long())
            classes.append(scale_class)
            memory, values = self._accept(memory, step, symbols[-1], mean, gain)
            decoded.append(values)
        all_symbols, all_classes = torch.cat(symbols, 1).cpu(), torch.cat(classes, 1).cpu()
        bits = torch.from_numpy(self.table.bits(all_symbols.numpy(), all_classes.numpy()).sum(-1))
        pairs = zip(all_symbols.flatten(1).numpy(), all_classes.flatten(1).numpy(), strict=True)
        chunks = [encode_chunk(s, c, self.table) for s, c in pairs]
        return CodedLayer(all_symbols, bits, chunks, torch.cat(decoded, 1), memory)

    def decode(self, memory: Memory, layer: int, chunks: Sequence[bytes], quality: Tensor) -> tuple[Tensor, Memory]:
        """N chunks → latents [N, rows, dim], and memory after the layer. Raises HscError for a damaged chunk."""
        decoders = [ChunkDecoder(chunk, self.table) for chunk in chunks]
        latents = []
        for step, _, gain in self._steps(layer, quality):
            mean, scale_class = self.entropy.predict(memory, step)
            classes = scale_class.flatten(1).cpu().numpy()
            integers = np.stack([decoder.decode(c) for decoder, c in zip(decoders, classes, strict=True)])
            symbols = torch.from_numpy(integers.astype(np.int64)).view(mean.shape).to(mean.device)
            memory, values = self._accept(memory, step, symbols, mean, gain)
            latents.append(values)
        for decoder in decoders:
            decoder.finish()
        return torch.cat(latents, 1), memory

    def fill(self, memory: Memory, layer: int, quality: Tensor) -> tuple[Tensor, Memory]:
        """A layer that was not sent: what a chunk of zeros would decode to, its conditional mean."""
        latents = []
        for step, _, gain in self._steps(layer, quality):
            mean, _ = self.entropy.predict(memory, step)
            memory, values = self._accept(memory, step, torch.zeros_like(mean), mean, gain)
            latents.append(values)
        return torch.cat(latents, 1), memory

    def _accept(self, memory: Memory, step: int, symbols: Tensor, mean: Tensor, gain: Tensor) -> tuple[Memory, Tensor]:
        """Memory with a step's rows, and their latents."""
        quantised = (symbols << LATENT_BITS) + mean
        if step + 1 < len(self.entropy.step_rows):
            memory = self.entropy.observe(memory, step, quantised)
        return memory, (quantised / 2**LATENT_BITS).float() / gain

    def _steps(self, layer: int, quality: Tensor) -> list[tuple[int, range, Tensor]]:
        """(step, its rows, their gain [N, rows, dim]) of a layer."""
        band = self._bands[layer]
        steps = [(step, rows) for step, rows in enumerate(self.entropy.step_rows) if rows.start in band]
        return [(step, rows, self.gain.rows(quality, rows)) for step, rows in steps]
