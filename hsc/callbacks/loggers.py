"""Access to the loggers of a run: the common x-axis, and W&B if it is used."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.loggers import MLFlowLogger, TensorBoardLogger, WandbLogger


def samples_seen(module: pl.LightningModule) -> int | None:
    """Training images the module has seen, over all stages; None if it does not count them."""
    return getattr(module, "samples_seen", None)


def use_samples_seen_as_axis(trainer: pl.Trainer, module: pl.LightningModule) -> None:
    """Let W&B plot against `samples_seen`, independent of the effect of several optimisers and resuming on Lightning's
    step.
    """
    if samples_seen(module) is None:
        return
    for run in wandb_runs(trainer):
        run.define_metric("samples_seen", hidden=True)
        for pattern in ("train/*", "val/*", "test/*"):
            run.define_metric(pattern, step_metric="samples_seen")


def log_results(trainer: pl.Trainer, module: pl.LightningModule, results: Mapping[str, float | torch.Tensor]) -> None:
    """Log numbers that are already equal on all processes, with `samples_seen`, to all loggers and for monitoring.

    To be called from an epoch-end hook of a callback.
    """
    seen = samples_seen(module)
    axis = {} if seen is None or not results else {"samples_seen": seen}
    if axis and isinstance(step := getattr(module, "step", None), int):
        axis["step"] = step  # for Lightning, whose own number of steps counts micro-batches and optimisers
    for name, value in {**results, **axis}.items():
        # float64, because Lightning rounds Python numbers to float32, samples_seen among them. The values are equal on
        # all processes, but without sync_dist Lightning warns for every key.
        module.log(name, torch.as_tensor(value, dtype=torch.float64, device=module.device), sync_dist=True)


def log_to_wandb(trainer: pl.Trainer, module: pl.LightningModule, items: Mapping[str, Any]) -> None:
    """Log images or histograms to all W&B runs, with `samples_seen`."""
    seen = samples_seen(module)
    axis = {"trainer/global_step": trainer.global_step} if seen is None else {"samples_seen": seen}
    for run in wandb_runs(trainer):
        run.log({**items, **axis})


def log_picture(trainer: pl.Trainer, module: pl.LightningModule, name: str, picture: Image.Image) -> None:
    """Log a picture to all loggers that accept pictures."""
    if wandb_runs(trainer):
        import wandb

        log_to_wandb(trainer, module, {name: wandb.Image(picture)})
    seen = samples_seen(module)
    step = trainer.global_step if seen is None else seen
    for logger in trainer.loggers if trainer.is_global_zero else []:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(name, np.asarray(picture), step, dataformats="HWC")
        elif isinstance(logger, MLFlowLogger):
            logger.experiment.log_image(logger.run_id, picture, f"{name}/{step:010d}.png")


def add_to_wandb_config(trainer: pl.Trainer, entries: Mapping[str, Any]) -> None:
    """Record facts about the run in the config of all W&B runs."""
    for run in wandb_runs(trainer):
        run.config.update(dict(entries), allow_val_change=True)


def wandb_runs(trainer: pl.Trainer) -> list[Any]:
    """The W&B runs of this trainer; none on processes other than the first."""
    if not trainer.is_global_zero:
        return []
    return [logger.experiment for logger in trainer.loggers if isinstance(logger, WandbLogger)]
