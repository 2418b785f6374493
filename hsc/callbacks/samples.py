"""Pictures of a few decoded faces, for visual inspection."""

from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image, ImageDraw

from hsc.callbacks.base import codec_output
from hsc.callbacks.loggers import log_picture, samples_seen
from hsc.files import write_atomically
from hsc.images import to_uint8
from hsc.validation_output import CodecOutput

TITLE_HEIGHT = 14


class SampleGridCallback(pl.Callback):
    """At every validation, a picture of the first faces: original | first layer | … | last layer, one row per face.

    Written to `samples/SAMPLES_SEEN.png` in the Trainer's `default_root_dir`, and logged as `val/samples`. For a module
    that decodes nothing, but has `generated_samples(n) → [n, 3, H, W]`, these are shown, as `generated/…` and
    `val/generated`.
    """

    def __init__(self, count: int = 8) -> None:
        self.count = count
        self._rows: list[np.ndarray] = []  # one per face, uint8 [H, columns · W, 3]
        self._titles: list[str] = []
        self._generated: np.ndarray | None = None
        self.written: Path | None = None
        """path of the last picture of faces"""

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._rows = []
        generate = getattr(pl_module, "generated_samples", None)
        if generate is not None and trainer.is_global_zero and not trainer.sanity_checking:
            with torch.no_grad():  # now: at the end of validation the averaged weights are no longer in place
                self._generated = np.hstack(list(to_uint8(generate(self.count))))

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any, **__: Any
    ) -> None:
        missing = self.count - len(self._rows)
        if trainer.is_global_zero and missing > 0:
            output = codec_output(outputs, pl_module)
            if output.layers:
                self._titles = ["original", *output.layers]
                self._rows += rows_of(output, missing)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        if self._rows:
            picture = with_titles(np.concatenate(self._rows), self._titles)
            self.written = self._show(trainer, pl_module, "samples", picture)
            self._rows = []
        if self._generated is not None:
            self.written = self._show(trainer, pl_module, "generated", Image.fromarray(self._generated))

    def _show(self, trainer: pl.Trainer, module: pl.LightningModule, name: str, picture: Image.Image) -> Path:
        seen = samples_seen(module)
        step = trainer.global_step if seen is None else seen
        path = Path(trainer.default_root_dir) / name / f"{step:010d}.png"
        write_atomically(path, lambda file: picture.save(file, "PNG"))
        log_picture(trainer, module, f"val/{name}", picture)
        return path


def rows_of(output: CodecOutput, count: int) -> list[np.ndarray]:
    """Original and layers side by side for each of the first `count` faces: uint8 [H, columns · W, 3] each."""
    columns = [output.originals, *(layer.images for layer in output.layers.values())]
    return list(np.concatenate([to_uint8(images[:count]) for images in columns], axis=2))


def with_titles(pixels: np.ndarray, titles: list[str]) -> Image.Image:
    """The picture with one title above each of its equally wide columns."""
    height, width, _ = pixels.shape
    picture = Image.new("RGB", (width, height + TITLE_HEIGHT), "white")
    draw = ImageDraw.Draw(picture)
    for column, title in enumerate(titles):
        draw.text((column * width // len(titles) + 2, 1), title, fill="black")
    picture.paste(Image.fromarray(pixels), (0, TITLE_HEIGHT))
    return picture
