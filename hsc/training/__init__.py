"""Staged training: `train` runs the stages of an experiment."""

import hsc.compat  # noqa: F401  isort: skip  torchvision beside CPU torch, before Lightning and torchmetrics import it
from hsc.training.run import train

__all__ = ["train"]
