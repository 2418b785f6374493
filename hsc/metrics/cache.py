"""A cache of a judge's outputs for originals, keyed by pixel content, shared by validations and runs."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from hsc.cache import write_to_cache
from hsc.files import cache_dir
from hsc.judges.base import Judge

LIMIT = 10_000  # outputs held; with 512 numbers each these are 20 MB


class RememberedAnswers:
    """Calls `judge(images)` only for images that are not in the cache.

    Originals are judged at every validation, and their outputs never change. With `folder` they are also read from
    there, and written there by `save`; each process writes its own file, named by its content, so processes never
    collide. The first output found on disk is recomputed: if it differs, the judge's weights have changed and the
    outputs on disk are dropped.
    """

    def __init__(self, judge: Callable[[Tensor], Tensor], folder: Path | None = None) -> None:
        self.judge = judge
        self.folder = folder
        self._answers: dict[str, Tensor] = {}
        self._from_disk: dict[str, Tensor] = {}
        self._unsaved: list[str] = []
        for file in sorted(folder.glob("*.safetensors")) if folder else []:
            if len(self._from_disk) < LIMIT:
                self._from_disk |= _read(file)

    def __call__(self, images: Tensor) -> Tensor:
        """[N, 3, H, W] → the judge's outputs, [N, ...] float32 on the images' device."""
        contents = list(map(_content, images.detach().float().cpu()))
        self._trust_or_drop_disk(contents, images)
        missing = [n for n, content in enumerate(contents) if content not in self._answers]
        fresh = dict(zip([contents[n] for n in missing], self._judge(images[missing]), strict=True)) if missing else {}
        answers = torch.stack([fresh[key] if key in fresh else self._answers[key] for key in contents])
        room = LIMIT - len(self._answers)
        kept = dict(list(fresh.items())[:room])
        self._answers |= kept
        self._unsaved += kept
        return answers.to(images.device)

    def save(self) -> None:
        """Write the outputs that are not on disk yet; does nothing without a folder."""
        if self.folder is None or not self._unsaved:
            return
        content = hashlib.sha256("".join(sorted(self._unsaved)).encode()).hexdigest()[:16]
        tensors = {key: self._answers[key].contiguous() for key in self._unsaved}
        write_to_cache(self.folder / f"{content}.safetensors", save(tensors))
        self._unsaved = []

    def _judge(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return self.judge(images).float().cpu()

    def _trust_or_drop_disk(self, contents: list[str], images: Tensor) -> None:
        hit = next((n for n, content in enumerate(contents) if content in self._from_disk), None)
        if hit is None:
            return
        (answer,) = self._judge(images[hit : hit + 1])
        known = self._from_disk[contents[hit]]
        tolerance = 1e-3 * answer.abs().max().item()
        if known.shape == answer.shape and torch.allclose(known, answer, rtol=1e-3, atol=tolerance):
            self._answers |= dict(list(self._from_disk.items())[: LIMIT - len(self._answers)])
        self._from_disk = {}


def remembered(judge: Judge, on_disk: bool = True) -> RememberedAnswers:
    """A judge with a cache of its outputs for originals, with `on_disk` also for later training or evaluation runs.

    Not to be used `on_disk` for a judge that cannot be loaded by name: its outputs could not be attributed later.
    """
    name = judge.name.replace("/", "_").replace(":", "_")
    return RememberedAnswers(judge, cache_dir() / "answers" / name if on_disk else None)


def _content(image: Tensor) -> str:
    pixels = image.contiguous()
    return hashlib.sha256(repr(tuple(pixels.shape)).encode() + pixels.numpy().tobytes()).hexdigest()[:32]


def _read(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (OSError, SafetensorError):  # deleted meanwhile, or not a file of this cache: its outputs are recomputed
        return {}
