"""What training logs: for each window of `log_every` steps the means of its values, once."""

from typing import Any

import pytorch_lightning as pl

from hsc.training.divergence import check_finite


class TrainingCurves(pl.Callback):
    """Logs `train/…` with `samples_seen` at the end of each window and of the stage, and looks whether training has
    diverged: the only times that a step waits for the device.
    """

    def __init__(self, stage: str) -> None:
        self.stage = stage

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        stage = pl_module.stage
        if pl_module.between_steps and (pl_module.step % stage.log_every == 0 or pl_module.step == stage.steps):
            self._log(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._log(trainer, pl_module)  # of a stage that stopped early

    def _log(self, trainer: pl.Trainer, module: Any) -> None:
        if not module.window.sums:
            return
        check_finite(trainer, module, self.stage)
        values = {f"train/{name}": value for name, value in module.end_window().items()}
        trainer.callback_metrics.update(values)
        for logger in trainer.loggers:
            logger.log_metrics(
                {name: float(value) for name, value in values.items()} | {"samples_seen": float(module.samples_seen)},
                module.step,
            )
