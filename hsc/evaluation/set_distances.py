"""Metrics of sets of images: Fréchet and kernel distance between the features of decoded images and originals and, if
identities are known, verification and identification of people by a recogniser.

Both need the features of all images at once, so these are written to files during the evaluation, where an interrupted
evaluation finds them again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from torch import Tensor

from hsc.errors import HscError
from hsc.files import write_atomically
from hsc.judges import Judge
from hsc.metrics.cache import RememberedAnswers
from hsc.metrics.distribution import FeatureSet, FeatureStatistics, distances_of_halves, distribution_distances
from hsc.metrics.identity import verification_scores
from hsc.metrics.info import distance_names, result_column

FALSE_ACCEPTS = 0.01  # the rate at which the true accept rate is read
Part = tuple[str, Sequence[str]]  # of a set of images: the place of its features, and the images' names


class SetDistances:
    """Feature judges, and recognisers if identities are known.

    answers: functions that apply the judges to originals, by judge name.
    """

    def __init__(
        self, judges: Sequence[Judge], folder: Path, answers: Mapping[str, RememberedAnswers] | None = None
    ) -> None:
        self.judges = list(judges)
        self.folder = folder
        self.answers = answers or {}

    def has(self, place: str) -> bool:
        """Whether the features of this part are kept."""
        return all(self._file(judge, place).is_file() for judge in self.judges)

    def keep(self, place: str, images: Tensor, originals: bool = False) -> None:
        """Keep the features of a part, [N, 3, H, W]."""
        for judge in self.judges:
            ask = self.answers.get(judge.name, judge) if originals else judge
            with torch.no_grad():
                features = ask(images).float().cpu().numpy()
            write_atomically(self._file(judge, place), partial(np.save, arr=features, allow_pickle=False))

    def between(self, originals: Sequence[Part], decoded: Sequence[str]) -> dict[str, float]:
        """The metrics of every judge. `decoded`: the places of the same images' parts, in the same order."""
        values: dict[str, float] = {}
        parts = [(place, names) for place, (_, names) in zip(decoded, originals, strict=True)]
        for judge in self.judges:
            told = self._people_told_apart if judge.kind == "recogniser" else self._distances
            values |= zip(columns_of(judge), told(judge, originals, parts), strict=True)
        return values

    def floor(self, originals: Sequence[Part]) -> dict[str, float]:
        """The distances between two halves of the originals: values that are not clearly larger mean nothing."""
        values: dict[str, float] = {}
        for judge in self.judges:
            if judge.kind == "features":
                values |= zip(columns_of(judge), distances_of_halves(self._features(judge, originals)), strict=True)
        return values

    def _distances(self, judge: Judge, originals: Sequence[Part], decoded: Sequence[Part]) -> tuple[float, ...]:
        return distribution_distances(self._features(judge, originals), self._features(judge, decoded))

    def _people_told_apart(self, judge: Judge, originals: Sequence[Part], decoded: Sequence[Part]) -> tuple[float, ...]:
        probes, references = (torch.from_numpy(np.concatenate(self._load(judge, of))) for of in (decoded, originals))
        people = people_of([name for _, names in originals for name in names])
        scores = verification_scores(probes, references, people, getattr(judge, "threshold", None), FALSE_ACCEPTS)
        return scores.auc, torch.nan if scores.accuracy is None else scores.accuracy, scores.tar, scores.identified

    def _features(self, judge: Judge, parts: Sequence[Part]) -> FeatureSet:
        loaded = self._load(judge, parts)
        statistics = FeatureStatistics(loaded[0].shape[1])
        for (_, names), features in zip(parts, loaded, strict=True):
            statistics.update(names, torch.from_numpy(features))
        return statistics.compute()

    def _load(self, judge: Judge, parts: Sequence[Part]) -> list[np.ndarray]:
        return [np.load(self._file(judge, place), allow_pickle=False) for place, _ in parts]

    def _file(self, judge: Judge, place: str) -> Path:
        return self.folder / judge.name.replace(":", "-") / f"{place}.npy"


def columns_of(judge: Judge) -> tuple[str, ...]:
    """The names of a judge's set metrics in result files."""
    if judge.kind == "recogniser":
        names = ("auc", "accuracy", "tar", "identified")
        return tuple(result_column(f"verification_{name}", judge.name) for name in names)
    return distance_names(judge)


def people_of(names: Sequence[str]) -> Tensor:
    """int64 [N], equal for pictures in the same folder: each person's photographs are in a folder of their own.

    Raises HscError unless there are two pictures of one person and one of another.
    """
    folders = [PurePosixPath(name).parent for name in names]
    counts = Counter(folders)
    if len(counts) < 2 or max(counts.values()) < 2:
        raise HscError("--people needs two pictures or more of a person in a folder of their own, and two such folders")
    numbers = {folder: number for number, folder in enumerate(counts)}
    return torch.tensor([numbers[folder] for folder in folders])
