"""A fresh Lightning Trainer for each stage."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint, ProgressBar
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from hsc.config import Config, StageConfig
from hsc.devices import find_device
from hsc.errors import HscError
from hsc.training.averaging import HalfLifeAveraging
from hsc.training.checkpoints import LAST, SafeCheckpoints
from hsc.training.compiling import CompiledNetworks
from hsc.training.curves import TrainingCurves
from hsc.training.early import EarlyStop
from hsc.training.flags import own_callbacks, shows_no_bar, trainer_flags
from hsc.training.interruption import StageCheckpoints
from hsc.training.missed import MissedValidation
from hsc.training.processes import launched


def build_trainer(
    config: Config,
    name: str,
    stage: StageConfig,
    folder: Path,
    loggers: list,
    reports: list[pl.Callback],
    shown: list[pl.Callback],
    early: EarlyStop | None = None,
) -> pl.Trainer:
    """`reports`: callbacks that measure; they run after the averaged weights are in place. `shown`: callbacks that show
    people what was logged."""
    callbacks: list[pl.Callback] = [
        HalfLifeAveraging(stage.average_kimg * 1000, stage.batch_size),
        *reports,
        TrainingCurves(name),
        *own_callbacks(config),
        *(callback for callback in shown if not (isinstance(callback, ProgressBar) and shows_no_bar(config))),
        StageCheckpoints(name, folder / LAST),
        MissedValidation(),
    ]
    if stage.compile:
        callbacks.append(CompiledNetworks())
    if early is not None:
        # Before the checkpoints, so that they hold what it counted; after the reports, which it reads.
        callbacks.insert(1 + len(reports), early)
    players = 2 if stage.is_adversarial else 1  # each of whose steps counts
    automatic: dict[str, Any] = {}
    if not stage.is_adversarial:
        automatic = {"gradient_clip_val": stage.clip or None, "accumulate_grad_batches": stage.accumulate}
    found = launched()
    nodes = 1 if found is None else found.nodes
    # Stages of the first layers, and the two halves of adversarial training, leave parameters without gradients.
    strategy = "ddp_find_unused_parameters_true" if config.devices > 1 else "auto"
    own: dict[str, Any] = dict(
        accelerator=config.device,
        devices=config.devices // nodes,
        num_nodes=nodes,
        precision=fitting_precision(stage.precision, config.device),
        max_steps=stage.steps * players,
        val_check_interval=min(stage.validate_every, stage.steps) * stage.accumulate,
        check_val_every_n_epoch=None,
        use_distributed_sampler=False,
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),  # StageCheckpoints saves
        logger=loggers,
        callbacks=callbacks,
        plugins=[SafeCheckpoints()],
        default_root_dir=folder,
        **automatic,
    )
    usual: dict[str, Any] = {
        "strategy": strategy,
        "num_sanity_val_steps": 0,
        "enable_progress_bar": any(isinstance(callback, ProgressBar) for callback in callbacks),
        "enable_model_summary": False,
    }
    try:
        return pl.Trainer(**(usual | trainer_flags(config, folder) | own))
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise HscError(f"config: trainer: {' '.join(str(error).split())}") from error


def device_class(asked: str) -> str:
    """cpu, cuda or mps: what Lightning's accelerator `asked` trains on here."""
    return find_device("auto" if asked == "gpu" else asked).type


def fitting_precision(asked: str, device: str) -> str:
    """What "auto" means on this machine; any other precision as it is.

    A processor without bfloat16 instructions emulates them: the convolutions of a training step then take 12 times as
    long as in float32.
    """
    if asked != "auto":
        return asked
    if device_class(device) == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16-mixed" if native else "32-true"
