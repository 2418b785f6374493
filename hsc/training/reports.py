"""Which callbacks measure and show a stage."""

from contextlib import suppress

import pytorch_lightning as pl

from hsc import callbacks
from hsc.config import Config, StageConfig, to_yaml
from hsc.judges import NotAvailable, load_judge
from hsc.metrics.info import distance_names, logged_name


def report_callbacks(config: Config, name: str) -> list[pl.Callback]:
    """Pictures and judges for every stage; rate where there are files to weigh."""
    stage, judges = config.stages[name], config.judges
    reports: list[pl.Callback] = [
        callbacks.ProvenanceCallback(to_yaml(config)),
        callbacks.SampleGridCallback(),
        callbacks.PerceptualCallback({logged_name(judge): judge for judge in judges.perceptual}),
    ]
    if judges.identity != "none":
        reports.append(callbacks.IdentityAccuracyCallback(judges.identity))
    if judges.landmarks != "none":
        reports.append(callbacks.LandmarkErrorCallback(judges.landmarks))
    if judges.distribution != "none" and draws_faces(stage):
        reports.append(callbacks.GeneratedFacesCallback(judges.distribution, judges.distribution_faces))
    elif judges.distribution != "none":
        reports.append(callbacks.FIDCallback(judges.distribution))
    if stage.module == "codec" and stage.quantise != "none":
        reports += [callbacks.BppCallback(), callbacks.SymbolStatisticsCallback()]
    return [*reports, callbacks.WandbTableCallback(), callbacks.BestValueCallback(watched(config, name))]


def draws_faces(stage: StageConfig) -> bool:
    """Whether the stage's random faces are what it is judged by."""
    return stage.module == "prior" and stage.is_adversarial


def watched(config: Config, name: str) -> str:
    """The logged value that tells a stage's best validation: how lifelike the faces are that a prior draws, where that
    is measured, else the stage's `watch`."""
    stage = config.stages[name]
    if not stage.patience and draws_faces(stage) and config.judges.distribution != "none":
        with suppress(NotAvailable):
            _, distance = distance_names(load_judge(config.judges.distribution))
            return f"val/generated/{distance}"
    return stage.watch
