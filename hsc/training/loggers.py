"""Loggers of a run: CSV always, W&B as configured. One W&B run a training run, whose stages are its phases."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytorch_lightning.loggers import CSVLogger, Logger
from pytorch_lightning.utilities import rank_zero_only

from hsc.config import Config, to_yaml
from hsc.files import write_atomically


@contextmanager
def run_loggers(config: Config, folder: Path, stage: str) -> Iterator[list[Logger]]:
    """Loggers for one stage. CSV: `STAGE/log/version_N/metrics.csv`, a version each time the stage is (re)started."""
    loggers: list[Logger] = [CSVLogger(folder / stage, name="log", flush_logs_every_n_steps=1)]
    mode = rank_zero_only(_wandb_mode, default="disabled")(config.logging.wandb)
    if mode == "disabled":
        yield loggers
        return
    import wandb
    from pytorch_lightning.loggers import WandbLogger

    os.environ.setdefault("WANDB_SILENT", "true")
    logger = WandbLogger(
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
        yield [*loggers, logger]
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
