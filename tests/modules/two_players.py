"""Program: train a codec and a prior against a discriminator, in one process and shared between two.

`python two_players.py FOLDER` writes each module's results to FOLDER: those of one process and of each of two.
"""

import sys
import warnings
from pathlib import Path

import hsc.modules  # isort: skip  torchvision beside CPU torch, before Lightning imports it
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

sys.path.append(str(Path(__file__).parent.parent))  # for tiny_model
from random_faces import RandomFaces, features
from tiny_model import tiny_config

import hsc.modules.decoder
from hsc.config.schema import AdversarialConfig
from hsc.losses import load_losses
from hsc.modules.adversary import AdversarialModule
from hsc.modules.codec import CodecModule
from hsc.modules.prior import PriorModule
from hsc.training.terminal import filter_lightning_logs

MODULES: dict[str, tuple[type[AdversarialModule], list[str]]] = {
    "codec": (CodecModule, ["encoder", "gain", "entropy", "heads", "generator", "discriminator"]),
    "prior": (PriorModule, ["generator", "mapping", "discriminator"]),
}
BATCH, STEPS = 8, 2


def train(kind: str, processes: int, accumulate: int, folder: Path) -> None:
    torch.manual_seed(0)
    made, parts = MODULES[kind]
    config = tiny_config(
        module=kind,
        train=parts,
        batch_size=BATCH,
        accumulate=accumulate,
        adversarial=AdversarialConfig(discriminator="projected"),
    )
    module = made(config, config.stages["only"], load_losses(["l2"]))
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=processes,
        strategy="ddp_fork_find_unused_parameters_true" if processes > 1 else "auto",
        use_distributed_sampler=False,
        max_steps=2 * STEPS,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Keep(folder, f"{kind}-{processes}")],
        default_root_dir=folder,
    )
    trainer.fit(module, DataLoader(RandomFaces(module, BATCH), batch_size=None))


class Keep(pl.Callback):
    """Each process's weights after training, and the means of what it logged."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name

    def on_train_end(self, trainer: pl.Trainer, pl_module: AdversarialModule) -> None:
        kept = {"weights": pl_module.state_dict(), "logged": pl_module.take_running_means()}
        torch.save(kept, self.folder / f"{self.name}-{trainer.global_rank}.pt")


if __name__ == "__main__":
    torch.set_num_threads(1)  # forked processes cannot use the threads of their parent
    filter_lightning_logs()
    warnings.simplefilter("ignore")
    hsc.modules.decoder.lite0 = features
    for kind in MODULES:
        for processes, accumulate in ((1, 1), (2, 2)):
            train(kind, processes, accumulate, Path(sys.argv[1]))
