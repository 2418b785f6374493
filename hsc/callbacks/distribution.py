"""How realistic images are as a set: decoded ones, or those that a prior generates."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from hsc.callbacks.base import JudgeCallback
from hsc.data.dataset import FaceDataset
from hsc.errors import HscError
from hsc.judges import Judge
from hsc.metrics.distribution import FeatureStatistics, check_number, distances_of_halves, distribution_distances
from hsc.metrics.info import distance_names
from hsc.nets.generator import images_at_a_time
from hsc.validation_output import CodecOutput


class FIDCallback(JudgeCallback):
    """Logs Fréchet and kernel distance of every layer to the originals of the same images, for 500 images or more.

    `judge`: a judge with features. The names are `fid` and `kid` for Inception-v3, and `frechet_NAME` and `kid_NAME`
    for any other, whose values are not comparable with published ones. `{val,test}/originals/…` is the distance between
    two halves of the originals: a distance that is not clearly larger is not significant.
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

    def about_decoded(self, images: Tensor) -> Tensor:
        """The judge's features of images [N, 3, H, W] that are not worth caching."""
        assert self.judge is not None
        with torch.no_grad():
            return self.judge(images.float())

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
        try:
            originals = self.originals.compute()
            distances = {
                layer: distribution_distances(originals, metric.compute()) for layer, metric in self.metrics.items()
            }
        except HscError as error:
            self._say_not_available(error)
            return {}
        distances["originals"] = distances_of_halves(originals)
        return {
            f"{layer}/{name}": torch.tensor(value, dtype=torch.float64)
            for layer, both in distances.items()
            for name, value in zip(distance_names(self.judge), both, strict=True)
        }

    def _say_not_available(self, why: HscError) -> None:
        assert self.judge is not None
        self.warn_once(f"{' and '.join(distance_names(self.judge))} not available: {why}")


class GeneratedFacesCallback(FIDCallback):
    """Logs `val/generated/…`: Fréchet and kernel distance of `faces` generated faces, untruncated, to as many training
    faces, and `val/originals/…`, the distance between two halves of the latter.

    The module must have `random_inputs(n) → [n, z_dim]`, the same at each call, and `sample(z) → [N, 3, S, S]`; the
    Trainer's data module, `dataset("train")`. The training faces are evenly spaced in the set, and read only once.
    """

    def __init__(self, judge: str | Judge = "vgg16", faces: int = 2000) -> None:
        super().__init__(judge)
        self.faces = faces
        self.measures = f"{self.measures}_of_generated_faces"

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        # At the end of the epoch the averaged weights are no longer in place.
        for metric in self.metrics.values():
            metric.reset()
        if self.judge is None or trainer.sanity_checking:
            return
        dataset = trainer.datamodule.dataset("train")  # type: ignore[attr-defined]  # set by a connector
        try:
            check_number(min(self.faces, len(dataset)))
        except HscError as error:
            self._say_not_available(error)
            return
        self._look_at_training_faces(dataset, trainer, pl_module.device)
        inputs = pl_module.random_inputs(self.faces)
        batch = images_at_a_time(pl_module.size)
        for part in torch.arange(trainer.global_rank, self.faces, trainer.world_size).split(batch):
            names = [f"generated {number}" for number in part.tolist()]
            self.metric("generated").update(names, self.about_decoded(pl_module.sample(inputs[part])))

    def observe(self, output: CodecOutput) -> None:
        """Ignores decoded images."""

    def _look_at_training_faces(self, dataset: FaceDataset, trainer: pl.Trainer, device: torch.device) -> None:
        assert self.originals is not None
        assert self.about_originals is not None
        if self.originals.update_called:
            return
        chosen = torch.linspace(0, len(dataset) - 1, min(self.faces, len(dataset))).round().long()
        for part in chosen[trainer.global_rank :: trainer.world_size].split(images_at_a_time(dataset.size)):
            batch = dataset[part.tolist()]
            self.originals.update(batch["name"], self.about_originals(batch["image"].to(device)))
