"""What a training says, and where: news on standard output, progress and warnings on standard error."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console, RenderableType

from hsc.training.quiet import hush_lightning, hush_others

Verbosity = Literal["quiet", "normal", "verbose"]
WIDTH = 120  # of tables in a file

_news = logging.getLogger("hsc.news")


def say(line: str) -> None:
    """A line of news, said by the first process; nothing outside of a training, or where it is to be quiet."""
    if _first_process():
        _news.info(line)


class Terminal:
    """How much a training says, and the consoles that it writes to.

    `output` takes news, tables and the summary, `errors` progress and warnings. Where both are one terminal they are
    one console, so that news appear above a bar. "quiet": warnings and results alone. "verbose": also what Lightning,
    W&B and other packages remark. Of several processes the first one speaks.
    """

    def __init__(self, verbosity: Verbosity = "normal") -> None:
        self.verbosity = verbosity
        self.errors = Console(stderr=True)
        to_terminal = sys.stdout.isatty()
        self.together = to_terminal and self.errors.is_terminal
        self.output = self.errors if self.together else Console(width=None if to_terminal else WIDTH)

    @property
    def talks(self) -> bool:
        """Whether news are shown here."""
        return self.verbosity != "quiet" and _first_process()

    def show(self, content: RenderableType) -> None:
        """A table among the news."""
        if self.talks:
            self.output.print(content)

    @contextmanager
    def in_use(self) -> Iterator["Terminal"]:
        """Shows what `say` says in the block, and keeps off the terminal what is no news to hsc's users."""
        handler, before = _Lines(self.output), warnings.formatwarning
        _news.addHandler(handler)
        _news.setLevel(logging.INFO if self.talks else logging.WARNING)
        _news.propagate = False
        try:
            with warnings.catch_warnings():
                if self.verbosity != "verbose":
                    os.environ.setdefault("WANDB_SILENT", "true")
                    hush_lightning()
                    hush_others()
                    warnings.formatwarning = _in_one_line
                yield self
        finally:
            warnings.formatwarning = before
            _news.removeHandler(handler)


class _Lines(logging.Handler):
    """Prints messages as they are, never wrapped: paths stay whole."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(record.getMessage(), markup=False, highlight=False, soft_wrap=True)


def _in_one_line(message: Any, *_: Any, **__: Any) -> str:
    return f"warning: {' '.join(str(message).split())}\n"


def _first_process() -> bool:
    return getattr(rank_zero_only, "rank", 0) == 0
