"""The loop of an evaluation: code a batch, decode it, apply the judges, record the results."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from hsc.checkpoints.weights_file import network_hash
from hsc.data.faces import Faces
from hsc.errors import HscError
from hsc.evaluation.face_pictures import FacePictures
from hsc.evaluation.rows import Row, RowJournal
from hsc.evaluation.set_distances import SetDistances
from hsc.evaluation.subjects import Coded, Subject
from hsc.files import json_hash
from hsc.images import pictures_at_once, to_tensor
from hsc.metrics.measures import Landmarks, Measure, measure_all
from hsc.progress import Advance


@dataclass(frozen=True)
class Batch:
    """Consecutive images. `places`: the index of each in the gallery of all originals."""

    names: list[str]
    places: list[int]


@dataclass(frozen=True)
class Measuring:
    """Everything the measurements of one evaluation share.

    batches: the images that are coded, the first of `faces`; all of `faces` form the gallery. pictures: those kept
    of some faces. device: where the judges run.
    """

    faces: Faces
    batches: list[Batch]
    measures: list[Measure]
    distances: SetDistances
    pictures: FacePictures
    journal: RowJournal
    device: torch.device

    def rows(self, subjects: Sequence[Subject], advance: Advance) -> list[Row]:
        """All rows, ordered by codec, point, layer and image; rows in the journal are not measured again.

        A batch is coded by all codecs before the next, so judges process its originals once.
        """
        measured: dict[tuple[str, int], list[Row]] = defaultdict(list)
        for batch in self.batches:
            found = {(one.name, point): self._finished(one, point, batch) for one in subjects for point in one.points}
            originals = None if all(found.values()) else self.load(batch.names)
            for subject in subjects:
                missing = [point for point in subject.points if not found[subject.name, point]]
                coding = iter(() if originals is None else subject.code(batch.names, originals, missing))
                for point in subject.points:
                    rows = found[subject.name, point]
                    if rows is None:
                        assert originals is not None
                        rows = self._measure(subject, point, batch, originals, next(coding))
                    measured[subject.name, point] += rows
                    advance(words=f"{subject.name}, {f'{point} bytes' if subject.by_size else f'quality {point}'}")
        return [
            row
            for subject in subjects
            for point in subject.points
            for row in sorted(measured[subject.name, point], key=lambda row: subject.layers.index(row.layer))
        ]

    def expected_seconds(self, subjects: Sequence[Subject]) -> float:
        """How long `rows` will take, estimated from one image at the middle point of each codec; 0 if all rows exist.

        Batches and anchors with cached files are faster, so this is an overestimate.
        """
        left = {subject.name: self._images_left(subject) for subject in subjects}
        if not any(left.values()):
            return 0.0
        probe = Batch(self.batches[0].names[:1], self.batches[0].places[:1])
        image, total = self.load(probe.names), 0.0
        self._seconds_of_judges(probe, image, image)  # loading happens with the first picture only
        for subject in subjects:
            if left[subject.name]:
                started = time.perf_counter()
                (prefixes,) = subject.code(probe.names, image, [subject.points[len(subject.points) // 2]])
                seconds = (time.perf_counter() - started) / subject.at_once
                seconds += sum(self._seconds_of_judges(probe, image, coded.images) for coded in prefixes)
                total += seconds * left[subject.name]
        return total

    def _images_left(self, subject: Subject) -> int:
        """How many times images are still to be coded, over all points."""
        return sum(
            len(batch.names)
            for batch in self.batches
            for point in subject.points
            if self._finished(subject, point, batch) is None
        )

    def _seconds_of_judges(self, probe: Batch, originals: Tensor, decoded: Tensor) -> float:
        started = time.perf_counter()
        measure_all(self.measures, probe.places, originals, decoded)
        with torch.no_grad():
            for judge in self.distances.judges:
                judge(decoded)
        return time.perf_counter() - started

    def load(self, names: Sequence[str]) -> Tensor:
        """Images [N, 3, H, W] on the judges' device."""
        return load(self.faces, names).to(self.device)

    def set_distances(self, subject: Subject, layer: str) -> list[dict[str, float]]:
        """Set distances to the originals at every point, after `rows`."""
        originals, key = self._originals(), self._key(subject)
        return [
            self.distances.between(originals, [_place(key, layer, point, batch) for batch in self.batches])
            for point in subject.points
        ]

    def write_pictures(self, subjects: Sequence[Subject], rows: Sequence[Row], trained_on: Sequence[str]) -> None:
        """Write the list of the kept pictures with the measurements of each, after `rows`."""
        names = self.pictures.names
        if not self.pictures.has(self.pictures.originals, names):
            self.pictures.keep(self.pictures.originals, names, self.load(names))
        keys = {subject.name: self._key(subject) for subject in subjects}
        kept = [(f"{keys[row.codec]}/{row.layer}-{row.point}", row) for row in rows if row.image in names]
        landmarker = next((one.judge for one in self.measures if isinstance(one, Landmarks)), None)
        self.pictures.write_index(kept, trained_on, landmarker, self.device)

    def floor(self) -> dict[str, float]:
        """Set distances between two halves of the originals."""
        return self.distances.floor(self._originals())

    def _finished(self, subject: Subject, point: int, batch: Batch) -> list[Row] | None:
        key = self._key(subject)
        if not all(self.distances.has(_place(key, layer, point, batch)) for layer in subject.layers):
            return None
        if not all(self.pictures.has(f"{key}/{layer}-{point}", batch.names) for layer in subject.layers):
            return None
        return self.journal.find(key, subject.name, point, batch.names, subject.layers)

    def _measure(
        self, subject: Subject, point: int, batch: Batch, originals: Tensor, prefixes: Sequence[Coded]
    ) -> list[Row]:
        key, rows = self._key(subject), []
        targets = [point if subject.by_size else None] * len(batch.names)
        before: Tensor | None = None
        metrics: list[dict[str, float]] = []
        for coded in prefixes:
            self.distances.keep(_place(key, coded.layer, point, batch), coded.images)
            self.pictures.keep(f"{key}/{coded.layer}-{point}", batch.names, coded.images)
            # A layer that is empty in all files leaves the images as they were.
            if before is None or not torch.equal(before, coded.images):
                metrics = measure_all(self.measures, batch.places, originals, coded.images)
            before = coded.images
            columns = (
                batch.names,
                coded.qualities,
                coded.file_bytes,
                coded.slice_bytes,
                coded.bits_estimated,
                coded.encode_seconds,
                coded.decode_seconds,
                metrics,
                targets,
            )
            for name, *numbers in zip(*columns, strict=True):
                rows.append(Row(name, subject.name, coded.layer, *numbers))
        self.journal.add(key, rows)
        return rows

    def _originals(self) -> list[tuple[str, list[str]]]:
        """The kept features of the originals, batch by batch; missing ones are computed."""
        parts = []
        for batch in self.batches:
            place = _place(self.faces.content_key[:16], "originals", 0, batch)
            if not self.distances.has(place):
                self.distances.keep(place, self.load(batch.names), originals=True)
            parts.append((place, batch.names))
        return parts

    def _key(self, subject: Subject) -> str:
        """A key that covers everything a row depends on."""
        return json_hash([subject.identity, self._judges, self.faces.content_key])[:16]

    @cached_property
    def _judges(self) -> list[tuple[str, str]]:
        """Columns of the measures, and names of judges of sets, each with the hash of its judge."""
        of_images = [
            (column, network_hash(judge))
            for measure in self.measures
            for column, judge in zip(measure.columns, measure.judges.values(), strict=True)
        ]
        return of_images + [(judge.name, network_hash(judge)) for judge in self.distances.judges]


def batches_of(names: Sequence[str], side: int) -> list[Batch]:
    """Names of pictures of `side` × `side` pixels, in order, split into batches."""
    count = pictures_at_once(side)
    return [
        Batch(list(names[start : start + count]), list(range(start, min(start + count, len(names)))))
        for start in range(0, len(names), count)
    ]


def load(faces: Faces, names: Sequence[str]) -> Tensor:
    """Images [N, 3, H, W]. Raises HscError if they differ in size."""
    images = [to_tensor(faces.load(name)) for name in names]
    odd = next((name for name, image in zip(names, images, strict=True) if image.shape != images[0].shape), None)
    if odd is not None:
        raise HscError(f"{faces.path}: {odd} has another size than {names[0]}; bring them to one with hsc data prepare")
    return torch.stack(images)


def _place(key: str, layer: str, point: int, batch: Batch) -> str:
    """Name of a batch's features; it includes the last index, since a larger `limit` may complete the last batch."""
    return f"{key}/{layer}-{point}-{batch.places[0]}-{batch.places[-1]}"
