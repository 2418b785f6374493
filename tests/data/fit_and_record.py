"""Trains on a folder of faces and writes down what each process was shown; a program of its own for several processes.

Usage: fit_and_record.py FOLDER LOG STEPS PROCESSES
"""

import json
import sys
import warnings
from pathlib import Path

import torch

import hsc.compat  # noqa: F401  before Lightning

import pytorch_lightning as pl  # isort: skip

from hsc.data.module import FaceDataModule

SPECS = {"train": "0-29", "validation": "30-46"}


class Recorder(pl.LightningModule):
    """Learns a little from each batch."""

    def __init__(self, log: Path):
        super().__init__()
        self.log_file = log
        self.layer = torch.nn.Linear(3, 1)
        torch.nn.init.ones_(self.layer.weight)
        torch.nn.init.zeros_(self.layer.bias)
        self.register_buffer("batches_seen", torch.zeros((), dtype=torch.long))

    def write(self, kind, batch):
        entry = [kind, int(self.batches_seen), batch["index"].tolist(), batch["image"].mean((1, 2, 3)).tolist()]
        with open(f"{self.log_file}.{self.global_rank}", "a") as file:
            file.write(json.dumps(entry) + "\n")

    def training_step(self, batch, batch_idx):
        self.write("train", batch)
        self.batches_seen += 1
        return self.layer(batch["image"].mean((2, 3))).square().mean()

    def validation_step(self, batch, batch_idx):
        self.write("validation", batch)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), 0.01)


def fit(folder, log, steps, processes=1, checkpoint=None):
    """Train to `steps`, validating every third; returns the Trainer."""
    data = FaceDataModule(str(folder), 8, batch_size=16, seed=3, **SPECS)
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=processes,
        strategy="ddp" if processes > 1 else "auto",
        max_steps=steps,
        check_val_every_n_epoch=None,
        val_check_interval=3,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice about worker processes
        trainer.fit(Recorder(log), data, ckpt_path=checkpoint)
    return trainer


if __name__ == "__main__":
    fit(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
