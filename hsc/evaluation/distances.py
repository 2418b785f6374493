"""What a judge says of all images together: Fréchet distance and KID between decoded images and originals on its
features, and whether a recogniser still knows people apart.

Both need the features of all images at once, so these are kept in files as the evaluation goes, and an interrupted
evaluation finds them again.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from hsc.evaluation import verified
from hsc.files import write_atomically

if TYPE_CHECKING:
    from hsc.judges import Judge
    from hsc.metrics.distribution import FeatureSet


class SetDistances:
    """Feature judges at work, and recognisers where it is known who is who.

    A set of images is a list of parts, each (where its features are kept, its names).
    """

    def __init__(self, judges: Sequence["Judge"], folder: Path) -> None:
        self.judges = list(judges)
        self.folder = folder

    def has(self, place: str) -> bool:
        """Whether the features of this part are kept."""
        return all(self._file(judge, place).is_file() for judge in self.judges)

    def keep(self, place: str, images: Tensor) -> None:
        """Keep the features of a part, [N, 3, H, W]."""
        for judge in self.judges:
            with torch.no_grad():
                features = judge(images).float().cpu().numpy()
            buffer = io.BytesIO()
            np.save(buffer, features, allow_pickle=False)
            write_atomically(self._file(judge, place), buffer.getvalue())

    def between(self, originals: Sequence[tuple[str, Sequence[str]]], decoded: Sequence[str]) -> dict[str, float]:
        """What every judge says. `decoded`: the places of the same images' parts, in the same order."""
        from hsc.metrics.distribution import distribution_distances

        names = [part for _, part in originals]
        values: dict[str, float] = {}
        for judge in self.judges:
            if judge.kind == "recogniser":
                probes, references = (
                    self._descriptors(judge, decoded),
                    self._descriptors(judge, [p for p, _ in originals]),
                )
                values |= verified.scores(
                    judge, probes, references, verified.people_of([n for ns in names for n in ns])
                )
                continue
            reference = self._features(judge, originals)
            ours = self._features(judge, list(zip(decoded, names, strict=True)))
            values |= zip(columns_of(judge), distribution_distances(reference, ours), strict=True)
        return values

    def floor(self, originals: Sequence[tuple[str, Sequence[str]]]) -> dict[str, float]:
        """The distances between two halves of the originals: what is not clearly larger says nothing."""
        from hsc.metrics.distribution import distances_of_halves

        values: dict[str, float] = {}
        for judge in self.judges:
            if judge.kind == "recogniser":
                continue
            values |= zip(columns_of(judge), distances_of_halves(self._features(judge, originals)), strict=True)
        return values

    def _features(self, judge: "Judge", parts: Sequence[tuple[str, Sequence[str]]]) -> "FeatureSet":
        from hsc.metrics.distribution import FeatureStatistics

        loaded = [np.load(self._file(judge, place), allow_pickle=False) for place, _ in parts]
        statistics = FeatureStatistics(loaded[0].shape[1])
        for (_, names), features in zip(parts, loaded, strict=True):
            statistics.update(names, torch.from_numpy(features))
        return statistics.compute()

    def _descriptors(self, judge: "Judge", places: Sequence[str]) -> Tensor:
        return torch.from_numpy(
            np.concatenate([np.load(self._file(judge, place), allow_pickle=False) for place in places])
        )

    def _file(self, judge: "Judge", place: str) -> Path:
        return self.folder / judge.name.replace(":", "-") / f"{place}.npy"


def columns_of(judge: "Judge") -> tuple[str, ...]:
    """What a judge's values are called; "FID" is Inception's alone."""
    if judge.kind == "recogniser":
        return verified.columns_of(judge)
    if judge.family == "inception":
        return "fid", "kid"
    name = judge.name.rpartition(".")[2]
    return f"frechet_{name}", f"kid_{name}"
