"""`hsc train` in a process of its own that can kill itself at a given point; and a process that holds a run's lock."""

import os
import sys
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import hsc.data.dataset as dataset_room
import hsc.training.stage as stage_room
from hsc.cli import main
from hsc.modules.base import TrainableModule
from hsc.training.run import run_lock


def hsc_train(
    file: str,
    *overrides: str,
    kill: tuple[str, int, int] | None = None,
    kill_validation: tuple[str, int, int] | None = None,
    kill_before_weights: int | None = None,
    uncached: bool = False,
    output: str | None = None,
    environment: dict[str, str] | None = None,
) -> None:
    """Run `hsc train`; ends as the command does.

    kill: (stage, batch, signal), a signal that the process sends to itself after training that batch of the stage.
    kill_validation: the same, but sent in the validation after that batch. kill_before_weights: signal sent when a
    stage has been trained but its weights are not yet written. uncached: treat the images as too many for memory.
    output: file that gets everything printed. environment: variables of the process.
    """
    os.environ.update(environment or {})
    with open(output or os.devnull, "a") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    if kill:
        _send(TrainableModule, "end_step", *kill)
    if kill_validation:
        for module in set(stage_room.MODULES.values()):
            _send(module, "validation_step", *kill_validation)
    if kill_before_weights:
        stage_room.save_stage = lambda *_: os.kill(os.getpid(), kill_before_weights)
    if uncached:
        dataset_room.CACHE_BYTES = 0
    main(["train", file, *overrides])


def hold_run_lock(folder: Path, experiment: str, holds: Event, ends: Event) -> None:
    with run_lock(folder, experiment, print):
        holds.set()
        ends.wait()


def _send(owner: Any, method: str, stage: str, batch: int, number: int) -> None:
    original = getattr(owner, method)

    def call(module: TrainableModule, *arguments: Any) -> Any:
        result = original(module, *arguments)
        here = Path(module.trainer.default_root_dir).name == stage
        if here and int(module.batches_seen) == batch:
            os.kill(os.getpid(), number)
        return result

    setattr(owner, method, call)
