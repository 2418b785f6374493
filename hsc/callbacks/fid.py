"""Whether the decoded images, as a set, look like faces."""

import pytorch_lightning as pl
import torch
from torch import Tensor

from hsc.callbacks.base import JudgeCallback
from hsc.errors import HscError
from hsc.judges import Judge
from hsc.metrics import FeatureStatistics, distances_of_halves, distribution_distances
from hsc.validation_output import CodecOutput


class FIDCallback(JudgeCallback):
    """Logs Fréchet and kernel distance of every layer to the originals of the same images, from 500 images on.

    `judge`: a judge of features. The names are `fid` and `kid` for Inception-v3, and `frechet_NAME` and `kid_NAME` for
    any other, whose numbers do not compare with published ones. `{val,test}/originals/…` is the distance between two
    halves of the originals: what is not clearly larger says nothing.
    """

    def __init__(self, judge: str | Judge = "vgg16") -> None:
        super().__init__(judge)
        self.measures = f"distribution_{judge if isinstance(judge, str) else judge.name}"
        self.num_features = 0
        self.originals: FeatureStatistics | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if self.judge is not None and self.originals is None:
            grey = torch.zeros(1, 3, 64, 64, device=trainer.strategy.root_device)
            self.num_features = self.about_decoded(grey).shape[1]
            self.originals = self.new_metric().to(self._metric_device)

    def new_metric(self) -> FeatureStatistics:
        return FeatureStatistics(self.num_features)

    def reset(self) -> None:
        super().reset()
        if self.originals is not None:
            self.originals.reset()

    def observe(self, output: CodecOutput) -> None:
        if self.about_originals is None or self.originals is None:
            return
        self.originals.update(output.names, self.about_originals(output.originals))
        for layer, decoded in output.layers.items():
            self.metric(layer).update(output.names, self.about_decoded(decoded.images))

    def results(self) -> dict[str, Tensor]:
        if self.judge is None or self.originals is None or not self.metrics:
            return {}
        frechet, kid = distance_names(self.judge)
        try:
            originals = self.originals.compute()
            distances = {
                layer: distribution_distances(originals, metric.compute()) for layer, metric in self.metrics.items()
            }
        except HscError as error:
            self.warn_once(f"{frechet} and {kid} not available: {error}")
            return {}
        distances["originals"] = distances_of_halves(originals)
        return {
            f"{layer}/{name}": torch.tensor(value, dtype=torch.float64)
            for layer, both in distances.items()
            for name, value in zip((frechet, kid), both, strict=True)
        }


def distance_names(judge: Judge) -> tuple[str, str]:
    """What the two distances are called with this judge."""
    if judge.family == "inception":
        return "fid", "kid"
    name = judge.name.rpartition(".")[2]
    return f"frechet_{name}", f"kid_{name}"
