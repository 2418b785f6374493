"""Staged training: `train` runs the stages of an experiment.

One batch, from file to logged value:

1. `hsc.data.module` reads the images of a step, the same after a restart.
2. `training_step` of `hsc.modules.codec` (or `prior`, `image_heads`) codes and decodes them.
3. `hsc.modules.rate_distortion` weights rate and distortion, and names their terms.
4. `hsc.modules.base` averages them over the step and over `log_every` steps.
5. `TrainingCurves` of `hsc.training.callbacks` passes the means to the loggers (`hsc.training.loggers`).
"""

import hsc.compat  # noqa: F401  isort: skip  torchvision beside CPU torch, before Lightning and torchmetrics import it
from hsc.training.run import train

__all__ = ["train"]
