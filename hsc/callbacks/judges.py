"""Judges of single decoded images: perceptual similarity, identity, and landmark error."""

from collections.abc import Mapping

import pytorch_lightning as pl

from hsc.callbacks.base import JudgeCallback, MeasureCallback, find_judge
from hsc.callbacks.loggers import add_to_wandb_config
from hsc.judges import Judge, NotAvailable
from hsc.metrics.cache import RememberedAnswers
from hsc.metrics.identity import IdentityAccuracy
from hsc.metrics.info import logged_name
from hsc.metrics.measures import Identity, Landmarks, Perceptual

PERCEPTUAL = {logged_name(judge): judge for judge in ("lpips.alex", "lpips.vgg", "psnr")}


class PerceptualCallback(MeasureCallback):
    """Logs the mean value of each judge, for every layer, under the name it is given here.

    `judges`: perceptual judges, or their names for `hsc.judges.load_judge`, by logged name. Those that are not
    available are named in a warning and not logged.
    """

    def __init__(self, judges: Mapping[str, str | Judge] = PERCEPTUAL) -> None:
        super().__init__()
        self.judges_or_names = dict(judges)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        judges = {}
        for name, judge in self.judges_or_names.items():
            try:
                judges[name] = find_judge(judge, trainer.strategy.root_device)
            except NotAvailable as error:
                self.warn_once(f"{name}: {error}")
        self.measure = Perceptual(judges) if judges else None
        add_to_wandb_config(trainer, {f"judge_of_{name}": judge.name for name, judge in judges.items()})


class IdentityAccuracyCallback(JudgeCallback):
    """Logs `identity_accuracy` (rank 1 among the originals of the gallery) and `identity_distance` of every layer.

    `judge`: a recogniser. The gallery is the validation's originals. Its size is written to the W&B config, since
    accuracies in galleries of different sizes are not comparable.
    """

    measures = "identity"

    def __init__(self, judge: str | Judge = "dlib") -> None:
        super().__init__(judge)

    def new_measure(self, judge: Judge, answers: RememberedAnswers) -> Identity:
        return Identity(judge, answers)

    def new_metric(self) -> IdentityAccuracy:
        return IdentityAccuracy()

    def report(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        super().report(trainer, pl_module, stage)
        sizes = {metric.gallery_size for metric in self.metrics.values() if isinstance(metric, IdentityAccuracy)}
        if sizes and not trainer.sanity_checking:
            add_to_wandb_config(trainer, {"gallery_size": max(sizes)})


class LandmarkErrorCallback(JudgeCallback):
    """Logs `landmark_nme` of every layer, and `detection_rate` if the judge reports whether it detects a face.

    `judge`: a landmarker, with its `outer_eye_corners` and, if it has a detector, `detects(images) → bool [N]`.
    """

    measures = "landmarks"

    def __init__(self, judge: str | Judge = "dlib68") -> None:
        super().__init__(judge)

    def new_measure(self, judge: Judge, answers: RememberedAnswers) -> Landmarks:
        return Landmarks(judge, answers)
