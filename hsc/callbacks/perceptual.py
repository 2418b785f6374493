"""How alike original and decoded images look to perceptual judges."""

from collections.abc import Mapping

import pytorch_lightning as pl
import torch

from hsc.callbacks.base import LayerMetricCallback, find_judge
from hsc.callbacks.loggers import add_to_wandb_config
from hsc.judges import Judge, NotAvailable
from hsc.metrics import PerImageMean
from hsc.validation_output import CodecOutput

JUDGES = {"lpips": "lpips.alex", "lpips_vgg": "lpips.vgg", "psnr": "psnr"}


class PerceptualCallback(LayerMetricCallback):
    """Logs the mean answer of each judge, for every layer, under the name it is given here.

    `judges`: perceptual judges, or what `hsc.judges.load_judge` calls them, by logged name. Those that are not
    available are named in a warning and not logged.
    """

    def __init__(self, judges: Mapping[str, str | Judge] = JUDGES) -> None:
        super().__init__()
        self.judges_or_names = dict(judges)
        self.judges: dict[str, Judge] = {}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        for name, judge in self.judges_or_names.items():
            try:
                self.judges[name] = find_judge(judge, trainer.strategy.root_device)
            except NotAvailable as error:
                self.warn_once(f"{name}: {error}")
        add_to_wandb_config(trainer, {f"judge_of_{name}": judge.name for name, judge in self.judges.items()})

    def new_metric(self) -> PerImageMean:
        return PerImageMean(*self.judges)

    def observe(self, output: CodecOutput) -> None:
        if not self.judges:
            return
        for layer, decoded in output.layers.items():
            images = decoded.images.float()
            with torch.no_grad():
                answers = {name: judge(output.originals, images) for name, judge in self.judges.items()}
            self.metric(layer).update(output.names, **answers)
