"""A validation that was due when training was cut off."""

from typing import Any

import pytorch_lightning as pl


class MissedValidation(pl.Callback):
    """Validates before training goes on, where the checkpoint was saved just before a validation.

    All checkpoints of a step that is followed by a validation are written before it; Lightning resumes behind it.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if pl_module.step and pl_module.step % pl_module.stage.validate_every == 0:
            # As Lightning's training loop does it.
            loop = trainer.fit_loop.epoch_loop.val_loop
            trainer.validating = True
            loop.run()
            trainer.training = True
