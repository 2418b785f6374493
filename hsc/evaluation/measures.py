"""Judges at work: what each says of a decoded image, under the name it has in result files."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from hsc.files import cache_dir

if TYPE_CHECKING:
    from hsc.judges.base import Judge

Gallery = Callable[[Callable[[Tensor], Tensor]], Tensor]

# Metrics whose logged name is not the judge's.
_METRICS = {"lpips.alex": "lpips", "lpips.vgg": "lpips_vgg"}


class Measure(Protocol):
    """One judge. `columns` are the metrics it yields."""

    judge: "Judge"
    columns: tuple[str, ...]

    def __call__(self, places: Tensor, originals: Tensor, decoded: Tensor) -> Tensor:
        """Values [N, columns] of decoded images [N, 3, H, W], whose originals stand at `places` [N] in the gallery."""


@runtime_checkable
class Describing(Protocol):
    """A perceptual judge that sees each image by itself before it compares two."""

    def describe(self, image: Tensor) -> list[Tensor]: ...

    def compare(self, reference: list[Tensor], image: list[Tensor]) -> Tensor: ...


class Perceptual:
    """Similarity to the original."""

    def __init__(self, judge: "Judge") -> None:
        self.judge = judge
        self.columns: tuple[str, ...] = (metric_of(judge.name),)
        self._seen: tuple[Tensor, list[Tensor]] | None = None

    def __call__(self, places: Tensor, originals: Tensor, decoded: Tensor) -> Tensor:
        if not isinstance(self.judge, Describing):
            return self.judge(originals, decoded)[:, None]
        if self._seen is None or self._seen[0] is not originals:  # the layers of a file share their originals
            self._seen = originals, self.judge.describe(originals)
        return self.judge.compare(self._seen[1], self.judge.describe(decoded))[:, None]


class Identity:
    """Rank-1 among all originals of the set (1 or 0), and the distance to the own original."""

    def __init__(self, judge: "Judge", gallery: Gallery) -> None:
        from hsc.metrics.cache import RememberedAnswers

        remembered = RememberedAnswers(judge, cache_dir() / "judges" / judge.name.replace(":", "-"))
        self.judge = judge
        self.gallery = gallery(remembered)
        remembered.save()
        self.columns: tuple[str, ...] = (
            f"identity_accuracy.{judge.name}@{len(self.gallery)}",
            f"identity_distance.{judge.name}",
        )

    def __call__(self, places: Tensor, originals: Tensor, decoded: Tensor) -> Tensor:
        from hsc.metrics.identity import gallery_ranks

        embeddings = self.judge(decoded).double()
        ranks = gallery_ranks(embeddings, places, self.gallery.double())
        distance = (embeddings - self.gallery[places].double()).norm(dim=1)
        return torch.stack([(ranks == 1).double(), distance], dim=1)


class Landmarks:
    """Landmark error against the landmarks of the original (NaN where none were found), and, from judges that have a
    detector, whether it finds a face at all (1 or 0)."""

    def __init__(self, judge: "Judge") -> None:
        from hsc.metrics.cache import RememberedAnswers

        self.judge = judge
        self.corners: tuple[int, int] = judge.outer_eye_corners  # type: ignore[assignment]
        self.remembered = RememberedAnswers(judge)
        self.detects: Callable[[Tensor], Tensor] | None = getattr(judge, "detects", None)
        self.columns: tuple[str, ...] = (f"landmark_nme.{judge.name}",)
        if self.detects is not None:
            self.columns += (f"detection_rate.{judge.name}",)

    def __call__(self, places: Tensor, originals: Tensor, decoded: Tensor) -> Tensor:
        from hsc.metrics.landmarks import landmark_nme

        points = self.judge(decoded)
        values = [landmark_nme(self.remembered(originals), points, self.corners)]
        if self.detects is not None:
            values.append(self.detects(decoded).double())
        return torch.stack(values, dim=1)


def build_measure(judge: "Judge", gallery: Gallery) -> Measure:
    """The measure for a judge. `gallery(answer)` must return `answer` of all originals, [G, d]."""
    if judge.kind == "perceptual":
        return Perceptual(judge)
    if judge.kind == "recogniser":
        return Identity(judge, gallery)
    if judge.kind == "landmarker":
        return Landmarks(judge)
    raise ValueError(f"judge {judge.name} is a {judge.kind} net, which judges sets, not images")


def measure_all(
    measures: Sequence[Measure], places: Sequence[int], originals: Tensor, decoded: Tensor
) -> list[dict[str, float]]:
    """Every metric of each of N images."""
    columns = [column for measure in measures for column in measure.columns]
    index = torch.tensor(places, device=originals.device)
    with torch.no_grad():
        values = [measure(index, originals, decoded).cpu().double() for measure in measures]
    table: np.ndarray = torch.cat(values, dim=1).numpy() if values else np.zeros((len(places), 0))
    return [dict(zip(columns, map(float, row), strict=True)) for row in table]


def metrics_trained_with(columns: Sequence[tuple["Judge", Sequence[str]]], judges: Sequence[str]) -> list[str]:
    """The metrics of these judges and of every judge that shares a backbone with one of them.

    columns: every judge that reported, with its metrics. judges: names of those that trained the codec.
    """
    from hsc.judges import NotAvailable, load_judge

    families = set()
    for name in judges:
        with suppress(NotAvailable):
            families.add(load_judge(name).family)
    return [
        metric for judge, metrics in columns if judge.name in judges or judge.family in families for metric in metrics
    ]


def metric_of(judge: str) -> str:
    """The name a perceptual judge's metric is logged under."""
    return _METRICS.get(judge, judge.replace(".", "_"))
