"""Loggers of a run: CSV always, W&B as configured. One W&B run a training run, whose stages are its phases."""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger, Logger, WandbLogger
from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities import rank_zero_only

from hsc.config import Config, to_yaml
from hsc.files import write_atomically


class WandbRun(WandbLogger):
    """Logs against `samples_seen`, which every value comes with: Lightning's own step begins anew with each stage."""

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        if self._experiment is None:
            import wandb

            self._experiment = wandb.init(**self._wandb_init)
            self._experiment.define_metric("*", step_metric="samples_seen")
        return self._experiment

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.experiment.log(dict(metrics))


def stage_log(folder: Path) -> CSVLogger:
    """The CSV file of a stage: `STAGE/log/version_N/metrics.csv`, a version each time the stage is (re)started."""
    return CSVLogger(folder, name="log", flush_logs_every_n_steps=1)


@contextmanager
def run_loggers(config: Config, folder: Path) -> Iterator[list[Logger]]:
    """What all stages of a run log to, beside their CSV files: one W&B run, begun by the first stage that trains."""
    mode = rank_zero_only(_wandb_mode, default="disabled")(config.logging.wandb)
    if mode == "disabled":
        yield []
        return
    import wandb

    os.environ.setdefault("WANDB_SILENT", "true")
    logger = WandbRun(
        project=config.logging.project,
        group=config.logging.group,
        name=config.name,
        id=_run_id(folder),
        resume="allow",
        tags=config.logging.tags or None,
        save_dir=folder,
        mode=mode,
        config={"yaml": to_yaml(config)},
    )
    # Lightning 2.6 passes a setting that W&B 0.31 has given up, and warns of even where it is None.
    logger._wandb_init.pop("anonymous", None)
    try:
        yield [logger]
    finally:
        wandb.finish()


def _wandb_mode(wanted: str) -> str:
    """ "auto": online when somebody is logged in, else offline, which never asks and never sends."""
    if wanted != "auto":
        return wanted
    if configured := os.environ.get("WANDB_MODE"):
        return configured
    import wandb

    return "online" if wandb.login(prompt=False) else "offline"


def _run_id(folder: Path) -> str:
    """The W&B id of this run folder, made once: resumed runs continue the same W&B run."""
    path = folder / "wandb-id"
    if not path.exists():
        write_atomically(path, secrets.token_hex(4).encode())
    return path.read_text().strip()
