"""How training shows itself: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar

SECONDS_BETWEEN_LINES = 10.0


def progress_callback(stage: str, steps: int) -> pl.Callback:
    """The bar or the lines for a stage of so many batches."""
    return RichProgressBar(leave=True) if sys.stderr.isatty() else ProgressLines(stage, steps)


class ProgressLines(pl.Callback):
    """`basic 250/1000 | 31 images/s | objective 0.71` every ten seconds, on standard error."""

    def __init__(self, stage: str, steps: int) -> None:
        self.stage, self.steps = stage, steps
        self._last = (time.monotonic(), 0)

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self._last = (time.monotonic(), pl_module.step)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        done, now = pl_module.step, time.monotonic()
        then, done_then = self._last
        if trainer.is_global_zero and (now - then >= SECONDS_BETWEEN_LINES or done == self.steps):
            speed = (done - done_then) * pl_module.stage.batch_size / max(now - then, 1e-9)
            values = [
                f"{name.removeprefix('train/')} {float(value):.3g}"
                for name, value in trainer.callback_metrics.items()
                if name.startswith("train/")
            ]
            print(
                f"{self.stage} {done}/{self.steps} | {speed:.0f} images/s | {' '.join(values)}",
                file=sys.stderr,
                flush=True,
            )
            self._last = (now, done)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if trainer.is_global_zero and not trainer.sanity_checking:
            values = [
                f"{name.removeprefix('val/')} {float(value):.4g}"
                for name, value in sorted(trainer.callback_metrics.items())
                if name.startswith("val/")
            ]
            print(f"{self.stage} validation | {' '.join(values)}", file=sys.stderr, flush=True)
            self._last = (time.monotonic(), pl_module.step)
