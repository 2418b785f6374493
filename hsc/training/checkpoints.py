"""A stage's checkpoints: the last one and the one before, so that neither a full disk nor a torn file loses a run."""

import os
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO
from pytorch_lightning.utilities import rank_zero_only, rank_zero_warn

from hsc.errors import HscError
from hsc.files import write_atomically
from hsc.training.terminal import say

LAST = "last.ckpt"
PREVIOUS = "previous.ckpt"


class SafeCheckpoints(TorchCheckpointIO):
    """Writes a file beside its place, then renames it; Lightning's own writes elsewhere and copies.

    Of `last.ckpt` the version before is kept as `previous.ckpt`. Where it cannot be written, training says so and goes
    on: the checkpoint before still stands, and by the time of the next one there may be room.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        path = Path(path)
        if path.name != LAST:
            write_atomically(path, lambda file: torch.save(checkpoint, file))
            return
        if path.exists():
            os.replace(path, path.with_name(PREVIOUS))
        try:
            write_atomically(path, lambda file: torch.save(checkpoint, file))
        except (HscError, RuntimeError) as error:  # torch's writer makes RuntimeErrors of what the disk says
            rank_zero_warn(f"no checkpoint of step {_step(checkpoint)}: {_reason(error)}; the one before is kept")


def newest_checkpoint(folder: Path) -> tuple[Path, int] | None:
    """The newest checkpoint in a stage's folder that can be read, and the steps behind it; None where there is none.

    A damaged one is named, and renamed so that it does not take the place of a good one.
    """
    for place in (folder / LAST, folder / PREVIOUS):
        if not place.exists():
            continue
        steps = _steps_in(place)
        if steps is not None:
            return place, steps
        aside = place.with_name(f"{place.name}.damaged")
        rank_zero_only(os.replace)(place, aside)
        say(f"{folder.name}: {place} is damaged and set aside as {aside.name}; goes on from what was saved before it")
    return None


def _steps_in(file: Path) -> int | None:
    """The steps behind a checkpoint; None where it is torn."""
    try:
        with zipfile.ZipFile(file) as content:
            if content.testzip() is not None:
                return None
        return int(torch.load(file, map_location="cpu", mmap=True, weights_only=True)["state_dict"]["batches_seen"])
    except Exception:  # torch's reader raises whatever its layers do
        return None


def _step(checkpoint: dict[str, Any]) -> int:
    return int(checkpoint["state_dict"]["batches_seen"])


def _reason(error: Exception) -> str:
    cause = error if isinstance(error, HscError) else error.__cause__ or error.__context__ or error
    return str(cause)
