"""Measures: judges applied to single decoded images and their originals.

`hsc evaluate` and the validation callbacks both use these. A measure runs its judges and returns numbers to store for
each image; the metrics are computed from these numbers alone, even if another process ran the judges.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from hsc.judges.base import Judge
from hsc.metrics.identity import gallery_ranks, own_distances
from hsc.metrics.info import MetricInfo, column_name, describe, result_column

Answers = Callable[[Tensor], Tensor]


class Measure(ABC):
    """Metrics of single images from some judges. `judges`: by the logged name of the metric that each computes."""

    def __init__(self, judges: Mapping[str, Judge]) -> None:
        self.judges = dict(judges)
        self._originals: Tensor | None = None
        self._of_originals: dict[str, Any] = {}

    @abstractmethod
    def ask(self, originals: Tensor, decoded: Tensor) -> Tensor:
        """Numbers to store for each image, [N, C]. Images are [N, 3, H, W] in [-1, 1]."""

    @abstractmethod
    def of_images(self, kept: Tensor, places: Tensor | None = None) -> dict[str, Tensor]:
        """Metrics of each image, [N] by name, from the output of `ask`. places: int64 [N], index of each original in
        the gallery, for a measure that has one."""

    @property
    def metrics(self) -> list[MetricInfo]:
        return [describe(judge, name) for name, judge in self.judges.items()]

    @property
    def columns(self) -> list[str]:
        """The metrics' names in result files."""
        return [result_column(name, judge.name) for name, judge in self.judges.items()]

    def about_originals(self, name: str, originals: Tensor, answers: Callable[[Tensor], Any]) -> Any:
        """`answers(originals)`, computed once for all layers and codecs that share these originals."""
        if self._originals is not originals:
            self._originals, self._of_originals = originals, {}
        if name not in self._of_originals:
            self._of_originals[name] = answers(originals)
        return self._of_originals[name]

    def forget(self) -> None:
        """Free the outputs for the last originals; features of a batch take half a kilobyte per pixel."""
        self._originals, self._of_originals = None, {}


@runtime_checkable
class Describing(Protocol):
    """A perceptual judge that computes features of each image separately before comparing them."""

    def describe(self, image: Tensor) -> list[Tensor]: ...

    def compare(self, reference: list[Tensor], image: list[Tensor]) -> Tensor: ...


class Perceptual(Measure):
    """Similarity to the original, by one or more judges."""

    def ask(self, originals: Tensor, decoded: Tensor) -> Tensor:
        return torch.stack([self._compare(name, originals, decoded) for name in self.judges], dim=1)

    def of_images(self, kept: Tensor, places: Tensor | None = None) -> dict[str, Tensor]:
        return dict(zip(self.judges, kept.unbind(1), strict=True))

    def _compare(self, name: str, originals: Tensor, decoded: Tensor) -> Tensor:
        judge = self.judges[name]
        if not isinstance(judge, Describing):
            return judge(originals, decoded)
        return judge.compare(self.about_originals(name, originals, judge.describe), judge.describe(decoded))


class Identity(Measure):
    """Distance to a face's own original, and whether that original has rank 1 in a gallery (1 or 0).

    answers: applies the judge to originals, by default without a cache. gallery: descriptors [G, d].
    """

    def __init__(self, judge: Judge, answers: Answers | None = None, gallery: Tensor | None = None) -> None:
        super().__init__({"identity_accuracy": judge, "identity_distance": judge})
        self.judge, self.answers, self.gallery = judge, answers or judge, gallery

    def ask(self, originals: Tensor, decoded: Tensor) -> Tensor:
        own = self.about_originals("", originals, self.answers)
        return torch.cat([own.double(), self.judge(decoded).to(own.device).double()], dim=1)

    def of_images(self, kept: Tensor, places: Tensor | None = None) -> dict[str, Tensor]:
        distance = {"identity_distance": own_distances(kept)}
        if self.gallery is None or places is None:
            return distance
        ranks = gallery_ranks(kept.chunk(2, dim=1)[1], places, self.gallery.double())
        return {"identity_accuracy": (ranks == 1).double()} | distance

    @property
    def columns(self) -> list[str]:
        size = 0 if self.gallery is None else len(self.gallery)
        return [result_column(name, self.judge.name, size) for name in self.judges]


class Landmarks(Measure):
    """Error relative to the landmarks of the original (0.01 is 1 %; NaN if none were found) and, from judges with a
    detector, whether it finds a face (1 or 0); landmarks of an aligned face can be placed without a detection."""

    def __init__(self, judge: Judge, answers: Answers | None = None) -> None:
        self.judge, self.answers = judge, answers or judge
        self.detects: Answers | None = getattr(judge, "detects", None)
        names = ["landmark_nme"] if self.detects is None else ["landmark_nme", "detection_rate"]
        super().__init__(dict.fromkeys(names, judge))

    def ask(self, originals: Tensor, decoded: Tensor) -> Tensor:
        own = self.about_originals("", originals, self.answers)
        corners: tuple[int, int] = self.judge.outer_eye_corners  # type: ignore[assignment]
        values = [landmark_nme(own, self.judge(decoded).to(own.device), corners)]
        if self.detects is not None:
            values.append(self.detects(decoded).to(values[0]))
        return torch.stack(values, dim=1)

    def of_images(self, kept: Tensor, places: Tensor | None = None) -> dict[str, Tensor]:
        return dict(zip(self.judges, kept.unbind(1), strict=True))


def landmark_nme(reference: Tensor, points: Tensor, outer_eye_corners: tuple[int, int]) -> Tensor:
    """Normalised mean error [N], float64: mean point distance ÷ distance of the outer eye corners of the reference.

    reference, points: [N, P, 2] in the same pixels. outer_eye_corners: the indices of these two points.
    """
    left, right = (reference[:, corner].double() for corner in outer_eye_corners)
    return (points.double() - reference.double()).norm(dim=2).mean(dim=1) / (left - right).norm(dim=1)


def measure_of(judge: Judge, answers: Answers, gallery: Callable[[Answers], Tensor]) -> Measure:
    """The measure for a judge of single images, with metric names as in result files.

    answers: applies the judge to originals. `gallery(answers)` must return the outputs for all originals, [G, d].
    """
    if judge.kind == "perceptual":
        return Perceptual({column_name(judge.name): judge})
    if judge.kind == "recogniser":
        return Identity(judge, answers, gallery(answers))
    if judge.kind == "landmarker":
        return Landmarks(judge, answers)
    raise ValueError(f"judge {judge.name} is a {judge.kind} net, which judges sets, not images")


def measure_all(
    measures: Sequence[Measure], places: Sequence[int], originals: Tensor, decoded: Tensor
) -> list[dict[str, float]]:
    """Every metric of each of N images, named as in result files. places: indices of their originals in galleries."""
    index = torch.tensor(places, device=originals.device)
    rows: list[dict[str, float]] = [{} for _ in places]
    with torch.no_grad():
        for measure in measures:
            values = measure.of_images(measure.ask(originals, decoded), index)
            for column, value in zip(measure.columns, values.values(), strict=True):
                for row, number in zip(rows, value.double().tolist(), strict=True):
                    row[column] = number
    return rows
