"""Keeps remarks that are no news to an hsc user off the terminal."""

import logging
import warnings

NO_NEWS = (
    r".*Checkpoint directory .* exists and is not empty.*",  # a stage folder always holds its key and log
    r".*isinstance\(treespec, LeafSpec\).*",  # Lightning 2.6 on torch 2.11 and later
    r".*does not have many workers.*",  # small sets are held in memory, where workers only cost
    r".*The `srun` command is available.*",
    r".*functional\.all_gather is deprecated.*",  # Lightning's own call
    r"Grad strides do not match bucket view strides.*",  # channels_last under DDP: a copy of a few numbers
)


def hush_lightning() -> None:
    """Warnings of its own that matter still come through."""
    for name in ("pytorch_lightning", "pytorch_lightning.utilities.rank_zero", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("pytorch_lightning.loggers.mlflow").setLevel(logging.ERROR)  # an experiment is made: as it should
    for message in NO_NEWS:
        warnings.filterwarnings("ignore", message=message)


def hush_others() -> None:
    """What packages have to say to their callers' authors."""
    for category in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
        warnings.filterwarnings("ignore", category=category)
