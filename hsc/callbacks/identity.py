"""Whether a recogniser still knows who it is."""

from collections.abc import Iterable, Sequence

import pytorch_lightning as pl
from torch import Tensor

from hsc.callbacks.base import JudgeCallback
from hsc.callbacks.loggers import add_to_wandb_config
from hsc.judges import Judge
from hsc.metrics import IdentityAccuracy, PerImage
from hsc.validation_output import CodecOutput


class IdentityAccuracyCallback(JudgeCallback):
    """Logs `identity_accuracy` (rank 1 among the originals of the gallery) and `identity_distance` of every layer.

    `judge`: a recogniser. `gallery`: batches of (names, images [N, 3, H, W]) of more originals to be told apart;
    those of the validation always belong to the gallery, and one name is one image. The size of the gallery goes to
    the W&B config, since accuracies among galleries of different sizes do not compare.
    """

    measures = "identity"

    def __init__(
        self, judge: str | Judge = "dlib", gallery: Iterable[tuple[Sequence[str], Tensor]] | None = None
    ) -> None:
        super().__init__(judge)
        self.more_originals = gallery
        self.gallery: PerImage | None = None

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if self.about_originals is None or self.more_originals is None or self.gallery is not None:
            return
        self.gallery = PerImage().to(self._metric_device)
        for index, (names, images) in enumerate(self.more_originals):
            if index % trainer.world_size == trainer.global_rank:
                self.gallery.update(names, self.about_originals(images.to(trainer.strategy.root_device)))

    def new_metric(self) -> IdentityAccuracy:
        return IdentityAccuracy(self.gallery)

    def observe(self, output: CodecOutput) -> None:
        if self.about_originals is None:
            return
        originals = self.about_originals(output.originals)
        for layer, decoded in output.layers.items():
            self.metric(layer).update(output.names, originals, self.about_decoded(decoded.images))

    def report(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        super().report(trainer, pl_module, stage)
        sizes = {metric.gallery_size for metric in self.metrics.values() if isinstance(metric, IdentityAccuracy)}
        if sizes and not trainer.sanity_checking:
            add_to_wandb_config(trainer, {"gallery_size": max(sizes)})
