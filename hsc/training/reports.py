"""Which callbacks measure and show a stage."""

import pytorch_lightning as pl

from hsc import callbacks
from hsc.config import Config, StageConfig, to_yaml

LOGGED_AS = {"lpips.alex": "lpips", "lpips.vgg": "lpips_vgg"}


def report_callbacks(config: Config, name: str) -> list[pl.Callback]:
    """Pictures and judges for every stage; rate where there are files to weigh."""
    stage, judges = config.stages[name], config.judges
    reports: list[pl.Callback] = [
        callbacks.ProvenanceCallback(to_yaml(config)),
        callbacks.SampleGridCallback(),
        callbacks.PerceptualCallback({LOGGED_AS.get(judge, judge): judge for judge in judges.perceptual}),
    ]
    if judges.identity != "none":
        reports.append(callbacks.IdentityAccuracyCallback(judges.identity))
    if judges.landmarks != "none":
        reports.append(callbacks.LandmarkErrorCallback(judges.landmarks))
    if judges.distribution != "none" and is_adversarial(stage):
        reports.append(callbacks.GeneratedFacesCallback(judges.distribution, judges.distribution_faces))
    elif judges.distribution != "none":
        reports.append(callbacks.FIDCallback(judges.distribution))
    if stage.module == "codec" and stage.quantise != "none":
        reports += [callbacks.BppCallback(), callbacks.SymbolStatisticsCallback()]
    return [*reports, callbacks.WandbTableCallback(), callbacks.BestValueCallback()]


def is_adversarial(stage: StageConfig) -> bool:
    """Whether the stage trains against a discriminator."""
    return stage.module == "prior" and stage.adversarial.weight > 0
