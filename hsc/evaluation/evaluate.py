"""`hsc evaluate`: a codec and its anchors measured on the same faces, with real files and judges that trained none."""

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

import hsc
from hsc.data.faces import Faces, open_faces
from hsc.data.splits import Spec
from hsc.errors import HscError
from hsc.evaluation.anchors import AnchorNotAvailable, load_anchor
from hsc.evaluation.journal import Journal, Row
from hsc.evaluation.measures import Measure, build_measure, measure_all, metrics_trained_with
from hsc.evaluation.progress import progress
from hsc.evaluation.results import GENERATED, write_results
from hsc.evaluation.subjects import AnchorSubject, LayeredSubject, Subject, anchor_pool
from hsc.evaluation.summary import summarise, write_per_image
from hsc.images import to_tensor

if TYPE_CHECKING:
    from hsc.codec import Codec

JUDGES = ("lpips.alex", "lpips.vgg", "dists", "ms_ssim", "psnr", "dlib", "dlib68")
BATCH = 16


@dataclass(frozen=True)
class Batch:
    """Consecutive images. `places`: where each stands in the gallery of all originals."""

    names: list[str]
    places: list[int]


def evaluate(
    codec: "Codec | str | Path | None",
    data: str | Path,
    out: str | Path,
    anchors: Sequence[str] = (),
    limit: int | None = None,
    split: Spec | None = None,
    qualities: Sequence[int] | None = None,
    judges: Sequence[str] = JUDGES,
) -> Path:
    """Measure every layer of a codec at every quality, and anchors at theirs, on aligned faces at the size they have.

    Writes per_image.csv (a row an image, codec, layer and quality), results.json (means, confidence intervals),
    journal.jsonl and, under files/, every file of the codec; returns the path of results.json. An evaluation that was
    interrupted goes on where it stopped when called again with the same arguments.

    codec: a codec, anything `hsc.load` takes, or None for anchors alone. data: folder or zip of faces of one size.
    split: which of them (see `hsc.data.splits`); all of these form the gallery of the identity metrics, and the first
    `limit` are coded. qualities: of the codec; all by default. Judges and anchors this machine lacks are reported on
    standard error and left out.
    """
    faces, out = open_faces(data, split), Path(out)
    loaded = hsc.load(codec) if isinstance(codec, str | Path) else codec
    batches = _batches(faces.names[:limit])
    first = _load(faces, batches[0].names[:1])
    with ExitStack() as stack:
        subjects: list[Subject] = []
        if loaded is not None:
            subjects.append(LayeredSubject(loaded, out / "files", qualities, first))
        pool = stack.enter_context(anchor_pool())
        subjects += [AnchorSubject(anchor, pool) for anchor in _available(load_anchor, anchors, AnchorNotAvailable)]
        if not subjects:
            raise HscError("nothing to evaluate: name a model, or an anchor that this machine has")
        measures = _measures(judges, faces)
        rows = _measure_subjects(subjects, measures, faces, batches, Journal(out / "journal.jsonl"))
    pixels = first.shape[-2] * first.shape[-1]
    trained_on = metrics_trained_with(measures, getattr(loaded, "card", {}).get("judges", ()))
    curves = summarise(rows, pixels, faces.content_key, faces.generated, trained_on)
    write_per_image(out / "per_image.csv", rows, (first.shape[-1], first.shape[-2]))
    headline = next(curve for curve in reversed(curves) if curve.codec == subjects[0].name)
    write_results(out / "results.json", curves, headline, _about(faces, batches, subjects, measures, split))
    return out / "results.json"


def _measure_subjects(
    subjects: Sequence[Subject], measures: Sequence[Measure], faces: Faces, batches: Sequence[Batch], journal: Journal
) -> list[Row]:
    """All rows, by codec, quality, layer and image, each in its order: from the journal where they are there."""
    rows: list[Row] = []
    steps = sum(len(subject.qualities) for subject in subjects) * len(batches)
    with progress(steps, "batches") as advance:
        for subject in subjects:
            key = _key(subject, measures, faces)
            for quality in subject.qualities:
                measured: list[Row] = []
                for batch in batches:
                    found = journal.find(key, subject.name, quality, batch.names, subject.layers)
                    if found is None:
                        found = _measure_batch(subject, measures, faces, batch, quality)
                        journal.append(key, found)
                    measured += found
                    advance(f"{subject.name}, quality {quality}")
                rows += sorted(measured, key=lambda row: subject.layers.index(row.layer))
    return rows


def _measure_batch(
    subject: Subject, measures: Sequence[Measure], faces: Faces, batch: Batch, quality: int
) -> list[Row]:
    originals = _load(faces, batch.names)
    rows = []
    for coded in subject.code(batch.names, originals, quality):
        metrics = measure_all(measures, batch.places, originals, coded.images)
        rows += [
            Row(name, subject.name, coded.layer, quality, *numbers)
            for name, *numbers in zip(
                batch.names,
                coded.file_bytes,
                coded.slice_bytes,
                coded.bits_estimated,
                coded.encode_seconds,
                coded.decode_seconds,
                metrics,
                strict=True,
            )
        ]
    return rows


def _measures(judges: Sequence[str], faces: Faces) -> list[Measure]:
    from hsc.judges import NotAvailable, load_judge

    def gallery(answer: Callable[[Tensor], Tensor]) -> Tensor:
        with torch.no_grad():
            return torch.cat([answer(_load(faces, batch.names)) for batch in _batches(faces.names)])

    return [build_measure(judge, gallery) for judge in _available(load_judge, judges, NotAvailable)]


def _available(load: Callable, names: Sequence[str], missing: type[HscError]) -> list:
    """What can be loaded; the others' messages go to standard error."""
    loaded = []
    for name in names:
        try:
            loaded.append(load(name))
        except missing as error:
            print(f"leaving out {name}: {error}", file=sys.stderr)
    return loaded


def _batches(names: Sequence[str]) -> list[Batch]:
    return [
        Batch(list(names[start : start + BATCH]), list(range(start, min(start + BATCH, len(names)))))
        for start in range(0, len(names), BATCH)
    ]


def _load(faces: Faces, names: Sequence[str]) -> Tensor:
    """Images [N, 3, H, W]."""
    images = [to_tensor(faces.load(name)) for name in names]
    odd = next((name for name, image in zip(names, images, strict=True) if image.shape != images[0].shape), None)
    if odd is not None:
        raise HscError(f"{faces.path}: {odd} has another size than {names[0]}; bring them to one with hsc data prepare")
    return torch.stack(images)


def _key(subject: Subject, measures: Sequence[Measure], faces: Faces) -> str:
    """Covers everything a row depends on."""
    columns = [column for measure in measures for column in measure.columns]
    parts = json.dumps([subject.identity, columns, faces.content_key])
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def _about(
    faces: Faces, batches: Sequence[Batch], subjects: Sequence[Subject], measures: Sequence[Measure], split: Spec | None
) -> dict:
    """How it was measured, for whoever wants to do it again."""
    return {
        "data": faces.path.name,
        "split": split or "*",
        "note": GENERATED if faces.generated else "",
        "first_image": batches[0].names[0],
        "last_image": batches[-1].names[-1],
        "gallery": len(faces),
        "codecs": {subject.name: subject.about for subject in subjects},
        "metrics": [column for measure in measures for column in measure.columns],
        "hsc": hsc.__version__,
        "torch": torch.__version__,
    }
