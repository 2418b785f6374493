"""The entropy model as a LightningModule: quantises latents layer by layer, and estimates the bits of the symbols."""

import functools
from collections.abc import Sequence
from typing import Literal, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor

from hsc.config import ModelConfig
from hsc.modules.batch_slice import WHOLE_BATCH, BatchSlice
from hsc.nets.build import build_entropy, build_gain
from hsc.nets.entropy import Memory
from hsc.nets.quantise import economical_round, gaussian_bits, straight_through

Quantiser = Literal["noise", "round"]


class Coded(NamedTuple):
    """Latents after coding."""

    prefixes: list[list[Tensor]]
    """prefixes[j][k]: latents [N, rows, dim] of layer k when layers 0…j were sent: decoded, or filled for k > j."""
    row_bits: Tensor
    """[N, rows of the coded layers]: estimated bits of each row."""
    symbols: list[Tensor]
    """Integers [N, rows, dim] of each coded layer."""


class EntropyModule(pl.LightningModule):
    """Layer after layer: predict mean and scale from the layers before, round the residual, remember the result.

    ```
    y·gain ──(−)──▶ round ──▶ symbols ──(+)──▶ ŷ ──▶ memory ──▶ next layer's mean, scale
              │mean               │scale   │mean
              └───────────────────┴────────┘
    ```
    A layer that is not sent is coded as zeros, hence decoded as its conditional mean.
    """

    def __init__(self, model: ModelConfig) -> None:
        super().__init__()
        self.net = build_entropy(model)
        self.gain = build_gain(model)

    def forward(
        self,
        latents: Sequence[Tensor],
        quality: Tensor,
        quantiser: Quantiser,
        generator: torch.Generator | None = None,
        batch_slice: BatchSlice = WHOLE_BATCH,
    ) -> Coded:
        """Code the first len(latents) layers at `quality` [N]. `generator` draws the noise of quantiser "noise" for the
        whole step, of which these images are the `batch_slice`.
        """
        prefixes, decoded, bits, symbols = list[list[Tensor]](), list[Tensor](), list[Tensor](), list[Tensor]()
        with torch.autocast(latents[0].device.type, enabled=False):
            memory = self.net.begin(quality)
            for layer, values in enumerate(latents):
                gain = self.gain.rows(quality, self.net.layer_rows[layer])
                mean, log_scale = self.net.predict(memory, layer)
                residual = values.float() * gain - mean
                with torch.no_grad():
                    symbols.append(economical_round(residual, functools.partial(gaussian_bits, log_scale=log_scale)))
                counted = rounded = straight_through(symbols[-1], residual)
                if quantiser == "noise":
                    whole = (batch_slice.stride * len(residual), *residual.shape[1:])
                    noise = batch_slice.of(torch.rand(whole, generator=generator, device=residual.device)) - 0.5
                    counted = residual + noise
                bits.append(gaussian_bits(counted, log_scale).sum(-1))
                quantised = mean + rounded
                decoded.append(quantised / gain)
                memory = self.net.observe(memory, layer, quantised)
                prefixes.append(decoded + self._fill(memory, layer + 1, quality))
        return Coded(prefixes, torch.cat(bits, 1), symbols)

    def _fill(self, memory: Memory, first_layer: int, quality: Tensor) -> list[Tensor]:
        """The conditional means of the layers from `first_layer` on: what zeros decode to."""
        filled = []
        for layer in range(first_layer, len(self.net.layer_rows)):
            mean, _ = self.net.predict(memory, layer)
            filled.append(mean / self.gain.rows(quality, self.net.layer_rows[layer]))
            if layer + 1 < len(self.net.layer_rows):
                memory = self.net.observe(memory, layer, mean)
        return filled
