"""Where a run's values go: its loggers, and what people see of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger

from hsc.training.progress import RunProgress, StageProgress
from hsc.training.terminal import Terminal
from hsc.training.validation_table import ValidationTable


@dataclass
class Outlets:
    """What the stages of a run, one after the other, report to. `run`: their names, in order."""

    run: Sequence[str]
    terminal: Terminal
    progress: RunProgress
    loggers: Sequence[Logger] = ()
    """beside which each stage has a CSV file of its own"""
    _validated: dict[str, float] = field(default_factory=dict)

    def begin(self, stage: str) -> None:
        """From now on progress is of this stage."""
        self.progress.title = self._title(stage)
        self.progress.doing("reading the data")

    def callbacks(self, stage: str) -> list[pl.Callback]:
        """Show steps and validations of a stage."""
        return [
            StageProgress(self.progress, stage),
            ValidationTable(self.terminal, self._title(stage), self._validated),
        ]

    def _title(self, stage: str) -> str:
        return f"{stage} · {self.run.index(stage) + 1} of {len(self.run)}"
