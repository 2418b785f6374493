"""A run that is a trial of a sweep: trials of one experiment share its name, and must not share its folder."""

import os
from dataclasses import replace
from pathlib import Path

from hsc.config import Config
from hsc.files import write_atomically

FOLDER_VARIABLE = "HSC_RUN_FOLDER"


def as_trial(config: Config) -> tuple[Config, Path]:
    """The run's folder, and its config with the name that tells it from other trials.

    `hsc sweep` gives each trial a folder in HSC_RUN_FOLDER. A W&B agent names sweep and run, and nothing else:
    `RUNS/NAME-SWEEP/RUN`. Outside of sweeps: `RUNS/NAME`, with the config as it is.
    """
    if given := os.environ.get(FOLDER_VARIABLE):
        folder = Path(given)
    elif (sweep := os.environ.get("WANDB_SWEEP_ID")) and (run := os.environ.get("WANDB_RUN_ID")):
        folder = Path(config.runs) / f"{config.name}-{sweep}" / run
        if not (folder / "wandb-id").exists():
            write_atomically(folder / "wandb-id", run.encode())
    else:
        return config, Path(config.runs) / config.name
    return replace(config, name=f"{config.name}-{folder.name}"), folder
