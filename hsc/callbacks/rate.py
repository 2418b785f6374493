"""Rate of the files that validation writes, and its distribution over rows and symbols."""

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from hsc.callbacks.base import LayerMetricCallback
from hsc.callbacks.loggers import log_to_wandb, wandb_runs
from hsc.metrics.per_image import PerImage
from hsc.metrics.rate import BitsPerPixel, SymbolCounts
from hsc.validation_output import CodecOutput

LARGEST = 32  # the last bin of the histograms contains all larger symbols too


class BppCallback(LayerMetricCallback):
    """Logs `bytes`, `bpp`, `bpp_estimated` and `bpp_layer` of every layer; nothing for a stage that writes no files."""

    def new_metric(self) -> BitsPerPixel:
        return BitsPerPixel()

    def observe(self, output: CodecOutput) -> None:
        before = torch.zeros(len(output.names), dtype=torch.float64)
        pixels = output.originals.shape[-2] * output.originals.shape[-1]
        for name, layer in output.layers.items():
            file_bytes = layer.file_bytes.double().cpu()
            self.metric(name).update(output.names, file_bytes, layer.bits_estimated.cpu(), before, pixels)
            before = file_bytes


class SymbolStatisticsCallback(LayerMetricCallback):
    """Logs the share of zeros among the symbols of a layer, `{val,test}/{layer}/zero_symbols`, and the mean estimated
    bits of a row, `{val,test}/row_bits/{row}`; and to W&B a histogram of the symbols, `{val,test}/{layer}/symbols`.

    A layer whose symbols are nearly all zero has collapsed, whatever its images look like.
    """

    def __init__(self) -> None:
        super().__init__()
        self.row_bits = PerImage()
        self._counts: dict[str, Tensor] = {}  # of the last validation, by layer

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        self.row_bits.to(self._metric_device)

    def new_metric(self) -> SymbolCounts:
        return SymbolCounts(LARGEST)

    def reset(self) -> None:
        super().reset()
        self.row_bits.reset()

    def observe(self, output: CodecOutput) -> None:
        for layer, symbols in output.symbols.items():
            self.metric(layer).update(output.names, symbols)
        if output.symbols:
            self.row_bits.update(output.names, output.row_bits)

    def results(self) -> dict[str, Tensor]:
        self._counts = {layer: metric.compute() for layer, metric in self.metrics.items()}
        if not self._counts:
            return {}
        keys, bits = self.row_bits.compute()
        rows = bits.reshape(keys.numel(), -1).mean(dim=0)
        zeros = {f"{layer}/zero_symbols": counts[LARGEST] / counts.sum() for layer, counts in self._counts.items()}
        return zeros | {f"row_bits/{row:02d}": value for row, value in enumerate(rows)}

    def report(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        super().report(trainer, pl_module, stage)
        if trainer.sanity_checking or not wandb_runs(trainer):
            return
        import wandb

        edges = np.arange(-LARGEST, LARGEST + 2) - 0.5
        log_to_wandb(
            trainer,
            pl_module,
            {
                f"{stage}/{layer}/symbols": wandb.Histogram(np_histogram=(counts.cpu().numpy(), edges))
                for layer, counts in self._counts.items()
            },
        )
