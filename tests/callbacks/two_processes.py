"""Program: validate the small codec with all measuring callbacks, in one process and then in two.

`python two_processes.py [IMAGES:shard|IMAGES:padded …]` prints two lines for each case: the values as JSON.
"""

import json
import logging
import sys
import warnings

import torch
from codec_double import BlurCodec, Corners, Distance, Pictures, Projection, Shard

import hsc.compat  # noqa: F401  isort: skip
import pytorch_lightning as pl
from torch.utils.data import DataLoader

from hsc.callbacks import (
    BppCallback,
    FIDCallback,
    IdentityAccuracyCallback,
    LandmarkErrorCallback,
    PerceptualCallback,
    SymbolStatisticsCallback,
)


class Data(pl.LightningDataModule):
    def __init__(self, count: int, sharing: str) -> None:
        super().__init__()
        self.pictures, self.sharing = Pictures(count), sharing

    def val_dataloader(self) -> DataLoader:
        shard = Shard(len(self.pictures), self.trainer.global_rank, self.trainer.world_size)
        return DataLoader(self.pictures, batch_size=8, sampler=shard if self.sharing == "shard" else None)


class Print(pl.Callback):
    """Prints the values from rank 0, the only process that has them."""

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            print(json.dumps({name: value.item() for name, value in trainer.callback_metrics.items()}), flush=True)


def measure(processes: int, images: int, sharing: str) -> None:
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=processes,
        strategy="ddp_fork" if processes > 1 else "auto",
        use_distributed_sampler=sharing == "padded",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[
            BppCallback(),
            PerceptualCallback({"lpips": Distance()}),
            IdentityAccuracyCallback(Projection()),
            LandmarkErrorCallback(Corners()),
            FIDCallback(Projection()),
            SymbolStatisticsCallback(),
            Print(),
        ],
    )
    trainer.validate(BlurCodec(), Data(images, sharing), verbose=False)


if __name__ == "__main__":
    torch.set_num_threads(1)  # forked processes cannot use the threads of their parent
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    for case in sys.argv[1:]:
        count, _, way = case.partition(":")
        for processes in (1, 2):
            measure(processes, int(count), way)
