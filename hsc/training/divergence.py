"""Training that has diverged ends, before it is saved."""

import math
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from hsc.errors import HscError
from hsc.training.checkpoints import LAST, PREVIOUS


def check_finite(trainer: pl.Trainer, module: Any, name: str) -> None:
    """Raise HscError where an objective of stage `name` since the last log point, or a weight, is no finite number.

    Waits for the device, and all processes must call it.
    """
    if module.window.objectives:
        objectives = module.mean_over_ranks(torch.stack(module.window.objectives)).tolist()
        for place, value in enumerate(objectives):
            if not math.isfinite(value):
                first = module.step - len(objectives) + 1 + place
                raise _diverged(trainer, module, name, f"the objective is {_word(value)} since step {first}")
    largest = torch.nn.utils.get_total_norm(module.parameters(), math.inf)
    if not math.isfinite(float(largest)):
        raise _diverged(trainer, module, name, f"a weight is {_word(float(largest))} after step {module.step}")


def _diverged(trainer: pl.Trainer, module: Any, name: str, what: str) -> HscError:
    stage, folder = module.stage, Path(trainer.default_root_dir)
    lower = [f"learning_rate (now {stage.learning_rate:g})"]
    if stage.is_adversarial:
        lower.append(f"adversarial.learning_rate (now {stage.adversarial.learning_rate:g})")
    advice = f"lower {' or '.join(lower)}" + ("" if stage.clip else ", or set clip to 1, which is 0 now")
    kept = next((folder / file for file in (LAST, PREVIOUS) if (folder / file).exists()), None)
    rest = f"{kept} is from before, and the same command goes on from it" if kept else "no checkpoint was saved before"
    return HscError(f"{name}: {what}: {advice}; {rest}")


def _word(value: float) -> str:
    return "NaN" if math.isnan(value) else "infinite"
