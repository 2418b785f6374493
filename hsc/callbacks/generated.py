"""Whether the faces that a prior samples, as a set, look like those it was trained on."""

from typing import Any

import pytorch_lightning as pl
import torch

from hsc.callbacks.fid import FIDCallback
from hsc.checkpoints import images_at_a_time
from hsc.judges import Judge
from hsc.validation_output import CodecOutput


class GeneratedFacesCallback(FIDCallback):
    """Logs `val/generated/…`: Fréchet and kernel distance of `faces` generated faces, untruncated, to as many training
    faces, and `val/originals/…`, the distance between two halves of these.

    The module has `random_inputs(n) → [n, z_dim]`, the same at each call, and `sample(z) → [N, 3, S, S]`; the Trainer's
    data module has `dataset("train")`. The training faces are evenly spaced among all, and looked at once.
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
        self._look_at_training_faces(trainer, pl_module.device)
        inputs = pl_module.random_inputs(self.faces)
        batch = images_at_a_time(pl_module.size)
        for part in torch.arange(trainer.global_rank, self.faces, trainer.world_size).split(batch):
            names = [f"generated {number}" for number in part.tolist()]
            self.metric("generated").update(names, self.about_decoded(pl_module.sample(inputs[part])))

    def observe(self, output: CodecOutput) -> None:
        """Not what validation decodes."""

    def _look_at_training_faces(self, trainer: pl.Trainer, device: torch.device) -> None:
        assert self.originals is not None
        assert self.about_originals is not None
        if self.originals.update_called:
            return
        dataset = trainer.datamodule.dataset("train")  # type: ignore[attr-defined]  # set by a connector
        chosen = torch.linspace(0, len(dataset) - 1, min(self.faces, len(dataset))).round().long()
        for part in chosen[trainer.global_rank :: trainer.world_size].split(images_at_a_time(dataset.size)):
            batch = dataset[part.tolist()]
            self.originals.update(batch["name"], self.about_originals(batch["image"].to(device)))
