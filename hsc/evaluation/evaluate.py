"""`hsc evaluate`: a codec and anchors measured on the same faces, with real files and judges not used in training."""

import os
import platform
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import hsc
from hsc.codec import Codec
from hsc.data.faces import Faces, open_faces, without_broken
from hsc.data.pictures import readable
from hsc.data.splits import Spec, select_names
from hsc.devices import find_device
from hsc.errors import HscError
from hsc.evaluation.anchors import AnchorNotAvailable, load_anchor
from hsc.evaluation.face_pictures import FacePictures
from hsc.evaluation.measuring import Measuring, batches_of, load
from hsc.evaluation.results import GENERATED, Curve, write_results
from hsc.evaluation.rows import Row, RowJournal, per_image_table
from hsc.evaluation.selection import available, leave_out, load_judges, own_split, whole_bytes
from hsc.evaluation.set_distances import SetDistances, columns_of, people_of
from hsc.evaluation.subjects import AnchorSubject, LayeredSubject, SizedAnchorSubject, Subject, anchor_pool
from hsc.evaluation.summary import summarise, write_layer_gains
from hsc.evaluation.table import write_columns
from hsc.judges import Judge, families_in
from hsc.metrics.cache import remembered
from hsc.metrics.measures import measure_of
from hsc.metrics.own import own_metrics
from hsc.progress import duration, number_of, progress

OUTPUTS = ("results.json", "per_image.*", "layer_gains.csv", "journal.jsonl", "files", "faces", "features")
JUDGES = ("lpips.alex", "lpips.vgg", "dists", "ms_ssim", "psnr", "dlib", "dlib68", "vgg16")


def evaluate(
    codec: Codec | str | Path | None,
    data: str | Path,
    out: str | Path,
    anchors: Sequence[str] = (),
    limit: int | None = None,
    split: Spec | None = None,
    qualities: Sequence[int] | None = None,
    judges: Sequence[str] = JUDGES,
    at_bytes: Sequence[float] = (),
    at_bpp: Sequence[float] = (),
    pictures: int = 0,
    people: bool = False,
    device: str | torch.device = "auto",
) -> Path:
    """Measure every layer of a codec at every quality, and anchors at theirs, on aligned faces at their own size.

    Writes per_image.csv and .parquet (one row per image, codec, layer and quality), results.json (means, confidence
    intervals), layer_gains.csv (what each layer gains, with paired intervals), journal.jsonl and, under files/, every
    file of the codec; returns the path of results.json. An evaluation that was interrupted resumes where it stopped
    when called again with the same arguments.

    codec: a codec, anything `hsc.load` takes, or None for anchors alone. data: folder or zip of faces of one size.
    split: which of them (see `hsc.data.splits`), by default those the codec was validated on; all of these form the
    gallery of the identity metrics, and the first `limit` are coded. qualities: of the codec; all by default.
    at_bytes, at_bpp: file sizes that anchors are also coded at, in addition to their ladders of qualities.
    pictures: number of faces whose pictures are kept for the comparison's page, under faces/. people: each folder of
    the data holds one person's photographs, so that recognisers also verify and identify people. device: where codec
    and judges run; a codec that is already loaded stays on its device, and the judges run there too. Judges and anchors
    that are not available are reported on standard error and left out. Memory depends on the pictures' size, not on
    their number.
    """
    out = Path(out)
    loaded = hsc.load(codec, device) if isinstance(codec, str | Path) else codec
    where = find_device(device) if loaded is None else getattr(loaded, "device", torch.device("cpu"))
    everything = open_faces(data)
    split = split or own_split(loaded, codec, everything)
    chosen = everything.names if split is None else select_names(everything.names, split)
    faces = without_broken(everything.select(chosen))
    first = load(faces, faces.names[:1]).to(where)
    if loaded is not None:
        faces.check_square(faces.names[0], first.shape[-1], first.shape[-2])
    batches = batches_of(faces.names[:limit], first.shape[-1])
    with ExitStack() as stack:
        subjects: list[Subject] = []
        if loaded is not None:
            subjects.append(LayeredSubject(loaded, out / "files", qualities, first))
        pool = stack.enter_context(anchor_pool())
        others = available(load_anchor, list(dict.fromkeys(anchors)), AnchorNotAvailable)
        subjects += [AnchorSubject(anchor, pool) for anchor in others]
        if sizes := whole_bytes(at_bytes, at_bpp, first):
            subjects += [SizedAnchorSubject(anchor, pool, sizes) for anchor in others]
        if not subjects:
            raise HscError("nothing to evaluate: name a model, or an anchor that this machine has")
        of_images, of_sets = load_judges(judges, len(faces.names[:limit]), where)
        if people:
            people_of(faces.names[:limit])
            of_sets += [judge for judge in of_images if judge.kind == "recogniser"]
        answers = {judge.name: remembered(judge) for judge in [*of_images, *of_sets]}
        for known in answers.values():
            stack.callback(known.save)
        measures = [
            measure_of(judge, answers[judge.name], lambda ask: _answers(ask, faces, first)) for judge in of_images
        ]
        distances = SetDistances(of_sets, out / "features", answers)
        kept = FacePictures(out / "faces", faces.names[:limit][:pictures], faces.content_key)
        measuring = Measuring(faces, batches, measures, distances, kept, RowJournal(out / "journal.jsonl"), where)
        _announce(measuring, subjects)
        steps = sum(len(subject.points) for subject in subjects) * len(batches)
        with progress(steps, "measuring") as advance:
            rows = measuring.rows(subjects, advance)
    subjects, rows = _reached(subjects, rows)
    reported = [pair for measure in measures for pair in zip(measure.columns, measure.judges.values(), strict=True)]
    reported += [(column, judge) for judge in of_sets for column in columns_of(judge)]
    trained_on = _trained_with(reported, getattr(loaded, "card", {}))
    if pictures:
        measuring.write_pictures(subjects, rows, trained_on)
    pixels = first.shape[-2] * first.shape[-1]
    own = own_metrics(info for measure in measures for info in measure.metrics)
    curves = summarise(rows, pixels, faces.content_key, faces.generated, trained_on, own)
    if of_sets:
        _add_set_distances(curves, subjects, measuring)
    if len(write_columns(out / "per_image.csv", per_image_table(rows, (first.shape[-1], first.shape[-2])))) == 1:
        leave_out("per_image.parquet", "pyarrow is not installed; pip install 'hsc[anchors]'")
    write_layer_gains(out / "layer_gains.csv", rows)
    headline = next(curve for curve in reversed(curves) if curve.codec == subjects[0].name)
    write_results(out / "results.json", curves, headline, _about(measuring, subjects, split))
    return out / "results.json"


def _announce(measuring: Measuring, subjects: Sequence[Subject]) -> None:
    """Print on standard error what will be measured, and about how long it takes."""
    if not (seconds := measuring.expected_seconds(subjects)):
        return
    ladders = []
    for subject in subjects:
        layers = f" of {len(subject.layers)} layers" if len(subject.layers) > 1 else ""
        points = number_of(len(subject.points), "size" if subject.by_size else "quality")
        ladders.append(f"{subject.name} at {points}{layers}")
    images = sum(len(batch.names) for batch in measuring.batches)
    words = f"measuring {number_of(images, 'face')} with {', '.join(ladders)}: about {duration(seconds)}"
    print(words, file=sys.stderr, flush=True)


def _reached(subjects: Sequence[Subject], rows: Sequence[Row]) -> tuple[list[Subject], list[Row]]:
    """Drop the target sizes that a codec missed for all images; print those that it missed for some."""
    asked = [row for row in rows if row.target_bytes is not None]
    images = Counter((row.codec, row.point) for row in asked)
    over = Counter((row.codec, row.point) for row in asked if row.bytes > row.point)
    for (codec, target), count in over.items():
        if count == images[codec, target]:
            leave_out(f"{codec}, {target}", "its smallest files are larger")
        else:
            print(
                f"{codec}, {target}: for {number_of(count, 'image')} its smallest, larger files stand in",
                file=sys.stderr,
            )
    for subject in subjects:
        if subject.by_size:
            subject.points = tuple(
                point for point in subject.points if over[subject.name, point] < images[subject.name, point]
            )
    kept = [
        row for row in rows if row.target_bytes is None or over[row.codec, row.point] < images[row.codec, row.point]
    ]
    return [subject for subject in subjects if subject.points], kept


def _trained_with(reported: Sequence[tuple[str, Judge]], card: Mapping[str, Any]) -> list[str]:
    """The metrics of the judges that trained a codec, according to its card, and of every judge that shares a backbone
    with one of them.

    reported: every metric, with its judge.
    """
    judges, families = card.get("judges", ()), families_in(card)
    return [metric for metric, judge in reported if judge.name in judges or judge.family in families]


def _answers(judge: Callable[[Tensor], Tensor], faces: Faces, first: Tensor) -> Tensor:
    """A judge's outputs for all originals, which have the size and the device of the `first` one."""
    batches, answers = batches_of(faces.names, first.shape[-1]), []
    with torch.no_grad(), progress(len(batches), "measuring originals") as advance:
        for batch in batches:
            answers.append(judge(load(faces, batch.names).to(first.device)))
            advance()
    return torch.cat(answers)


def _add_set_distances(curves: Sequence[Curve], subjects: Sequence[Subject], measuring: Measuring) -> None:
    """Add the metrics of sets, which are not averages over images, to every curve."""
    layers = [(subject, layer) for subject in subjects for layer in subject.layers]
    for curve, (subject, layer) in zip(curves, layers, strict=True):
        points = measuring.set_distances(subject, layer)
        curve.values |= {name: np.array([point[name] for point in points]) for name in points[0]}


def _about(measuring: Measuring, subjects: Sequence[Subject], split: Spec | None) -> dict[str, Any]:
    """How the results were measured, for reproducing them."""
    faces, distances = measuring.faces, measuring.distances
    return {
        "data": readable(faces.path.name),
        "split": split or "*",
        "note": GENERATED if faces.generated else "",
        "first_image": measuring.batches[0].names[0],
        "last_image": measuring.batches[-1].names[-1],
        "gallery": len(faces),
        "codecs": {subject.name: subject.about for subject in subjects},
        "floor": measuring.floor() if distances.judges else {},
        "hsc": hsc.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }
