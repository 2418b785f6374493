"""Loggers of a run: CSV always; W&B, TensorBoard and MLflow as configured. Each has one run for all stages, which
continues when training is resumed.
"""

import importlib.util
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from pytorch_lightning.loggers.logger import rank_zero_experiment
from pytorch_lightning.utilities import rank_zero_only

from hsc.config import Config, to_yaml
from hsc.errors import HscError
from hsc.files import write_atomically

LOG = "log"  # of a stage's folder
WANDB_ID = "wandb-id"  # of a run's folder


class WandbRun(WandbLogger):
    """Logs against `samples_seen`, which accompanies every value: Lightning's own step restarts with each stage."""

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


class _AgainstSamplesSeen(Logger):
    """Logs against `samples_seen`, for the same reason."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        super().log_metrics(dict(metrics), int(metrics.get("samples_seen", step or 0)))  # type: ignore[safe-super]


class TensorBoardRun(_AgainstSamplesSeen, TensorBoardLogger):
    """Event files in `RUN/tensorboard`."""


class MLflowRun(_AgainstSamplesSeen, MLFlowLogger):
    """A run on the server of MLFLOW_TRACKING_URI, else in `RUN/mlruns`."""


def stage_log(folder: Path) -> CSVLogger:
    """The CSV file of a stage: `STAGE/log/version_N/metrics.csv`, a version each time the stage is (re)started."""
    return CSVLogger(folder, name=LOG, flush_logs_every_n_steps=1)


@contextmanager
def run_loggers(config: Config, folder: Path) -> Iterator[list[Logger]]:
    """The loggers of all stages of a run, beside their CSV files; created by the first stage that trains."""
    makers = {"wandb": _wandb_run, "tensorboard": _tensorboard_run, "mlflow": _mlflow_run}
    made = [make(config, folder) for name, make in makers.items() if name in config.logging.loggers]
    try:
        yield [logger for logger in made if logger is not None]
    finally:
        if any(isinstance(logger, WandbRun) for logger in made):
            import wandb

            wandb.finish()


def check_loggers(config: Config) -> None:
    """Raise HscError if the package of a logger is not installed."""
    for name in {"tensorboard", "mlflow"} & set(config.logging.loggers):
        if importlib.util.find_spec(name) is None:
            raise HscError(f"config: logging.loggers: {name} is not installed: pip install 'hsc[{name}]'")


def _tensorboard_run(config: Config, folder: Path) -> Logger:
    logger = TensorBoardRun(folder, name="tensorboard", version="", default_hp_metric=False)
    rank_zero_only(lambda: logger.experiment.add_text("config", f"```yaml\n{to_yaml(config)}```"))()
    return logger


def _mlflow_run(config: Config, folder: Path) -> Logger:
    known = folder / "mlflow-id"
    logger = MLflowRun(
        experiment_name=config.logging.project,
        run_name=config.name,
        tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or (folder / "mlruns").resolve().as_uri(),
        run_id=known.read_text() if known.exists() else None,
        tags={"group": config.logging.group or "", "tags": ", ".join(config.logging.tags)},
    )

    @rank_zero_only
    def begin() -> None:
        write_atomically(known, str(logger.run_id).encode())
        logger.experiment.log_text(logger.run_id, to_yaml(config), "config.yaml")

    begin()
    return logger


def _wandb_run(config: Config, folder: Path) -> Logger | None:
    mode = rank_zero_only(_wandb_mode, default="disabled")(config.logging.wandb)
    if mode == "disabled":
        return None
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
    # Lightning 2.6 passes a setting that W&B 0.31 has removed, and warns about even if it is None.
    logger._wandb_init.pop("anonymous", None)
    return logger


def _wandb_mode(wanted: str) -> str:
    """ "auto": online when somebody is logged in, else offline, which neither prompts nor uploads."""
    if wanted != "auto":
        return wanted
    if configured := os.environ.get("WANDB_MODE"):
        return configured
    import wandb

    return "online" if wandb.login(prompt=False) else "offline"


def _run_id(folder: Path) -> str:
    """The W&B id of this run folder, made once: resumed runs continue the same W&B run."""
    path = folder / WANDB_ID
    if not path.exists():
        write_atomically(path, secrets.token_hex(4).encode())
    return path.read_text().strip()
