"""Rate of the files that validation writes."""

import torch

from hsc.callbacks.base import LayerMetricCallback
from hsc.metrics import BitsPerPixel
from hsc.validation_output import CodecOutput


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
