"""`prepare`: runs alignment, checks and splits, and writes the results."""

import json
import os
from collections import Counter
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import hsc
from hsc.data.prepare.aligner import align_all
from hsc.data.prepare.contact_sheet import MOST_KEPT, MOST_SKIPPED, Shown, contact_sheet
from hsc.data.prepare.decisions import Names, SeenFaces, common_folder, faces_of, identity_of, splits
from hsc.data.prepare.outputs import Output, check_output, places_of, shard_output, zip_output
from hsc.data.prepare.photographs import Photographs
from hsc.data.prepare.settings import Settings
from hsc.data.prepare.work_journal import WorkJournal
from hsc.errors import HscError
from hsc.files import hidden_beside, json_hash, write_atomically
from hsc.progress import progress

DECIDING_PACKAGES = ("dlib-bin", "dlib", "pillow", "numpy", "scipy")


class Report(NamedTuple):
    """photographs: number read. splits: number of faces in each. skipped: number of faults of each kind."""

    photographs: int
    splits: dict[str, int]
    skipped: dict[str, int]
    manifest: Path
    sheet: Path


def prepare(
    source: str | Path, out: str | Path, settings: Settings, workers: int | None = None, force: bool = False
) -> Report:
    """Find, align, judge and split the faces of all photographs in `source` (a folder, a zip or a tar).

    Writes OUT.zip, or a folder OUT of WebDataset shards where `out` has no ending; beside it OUT.manifest.jsonl, one
    line per face or skipped photograph, and OUT.html, a contact sheet. Equal photographs and settings give equal bytes.
    A run that was killed resumes where it stopped; until the end its work is in `.OUT.preparing`. workers: processes,
    by default one for each core that this process may use.
    force: also replace files of these names that hsc did not make.
    Raises HscError if the source is rejected or is itself one of the results, if the results would replace other files,
    if no face is kept, or if a dependency is missing. A photograph that cannot be read is a line of the manifest.
    """
    out = Path(out)
    check_output(Path(source), out, force)
    photographs = Photographs(source)
    with WorkJournal(hidden_beside(out, ".preparing"), _key(photographs, settings), photographs.gives) as journal:
        with progress(len(photographs), "photographs") as advance:
            advance(journal.done)
            for aligned in align_all(photographs.read(journal.done), settings, workers or len(os.sched_getaffinity(0))):
                journal.append(aligned)
                advance()
        report = _Finisher(photographs, settings, journal, out).finish()
        journal.remove()
    return report


def _key(photographs: Photographs, settings: Settings) -> str:
    """Everything that determines the results of a photograph."""
    versions = [_version(name) for name in DECIDING_PACKAGES]
    return json_hash([photographs.fingerprint, asdict(settings), hsc.__version__, versions])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


class _Finisher:
    """From a complete journal to the final files, in two passes: decide what to keep, then write it."""

    def __init__(self, photographs: Photographs, settings: Settings, journal: WorkJournal, out: Path) -> None:
        self._photographs, self._settings, self._journal, self._out = photographs, settings, journal, out
        self._common = common_folder(photographs.names)
        self._names = Names(self._common, settings.format)
        self._twins, identities = self._decide()
        if not identities:
            raise HscError(self._nothing_kept())
        self._split = splits(identities, settings)
        self._show_every = -(-len(identities) // MOST_KEPT)
        self._kept: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._shown: list[Shown] = []
        self._refused: list[Shown] = []

    def finish(self) -> Report:
        _, manifest, sheet = places_of(self._out)
        self._write(manifest)
        kept = {split: self._kept[split] for split in ("train", "validation", "test") if self._kept[split]}
        skipped = dict(sorted(self._skipped.items(), key=lambda item: (-item[1], item[0])))
        write_atomically(sheet, contact_sheet(self._out.stem, kept, skipped, self._shown, self._refused))
        return Report(len(self._photographs), kept, skipped, manifest, sheet)

    def _decide(self) -> tuple[dict[tuple[str, int], str], list[str]]:
        """Faults of near-duplicates, by source and index of the face; the identity of every face that is kept."""
        seen, twins, identities = SeenFaces(self._settings.max_distance), {}, []
        for record in self._journal.records():
            for number, face, _ in faces_of(record):
                if face["skipped"]:
                    continue
                hash_ = bytes.fromhex(face["hash"])
                if twin := seen.twin(hash_):
                    twins[record["source"], number] = f"near-duplicate: of {twin[0]}, {twin[1]} of 255 bits differ"
                else:
                    seen.add(record["source"], hash_)
                    identities.append(identity_of(record["source"], self._common))
        return twins, identities

    def _write(self, manifest: Path) -> None:
        """Write manifest and faces in one pass. The faces are moved into place last, after the manifest."""

        def write_zip(file: BinaryIO) -> None:
            with zip_output(file) as output:
                write_atomically(manifest, lambda lines: self._write_faces(lines, output))

        if self._out.suffix == ".zip":
            write_atomically(self._out, write_zip)
        else:
            with shard_output(self._out, self._settings.per_shard) as output:
                write_atomically(manifest, lambda lines: self._write_faces(lines, output))

    def _write_faces(self, lines: BinaryIO, output: Output) -> None:
        for record in self._journal.records():
            if not record["faces"]:
                self._skip(record["skipped"], record["source"], None)
                lines.write(_line({"name": None, "source": record["source"], "skipped": record["skipped"]}))
            for number, face, place in faces_of(record):
                about = self._write_face(record["source"], number, face, self._journal.crop(place), output)
                lines.write(_line(about | {"photograph": record["photograph"]} | face | {"skipped": about["skipped"]}))

    def _write_face(
        self, source: str, number: int, face: dict[str, Any], crop: bytes, output: Output
    ) -> dict[str, Any]:
        """Add the face to the set, or count it as skipped; returns its entry in the manifest."""
        identity = identity_of(source, self._common)
        about = {"name": None, "source": source, "face": number, "identity": identity, "split": None}
        if fault := self._twins.get((source, number), face["skipped"]):
            self._skip(fault, source, crop)
            return about | {"skipped": fault}
        split = self._split[identity]
        name = self._names.give(split, source, number)
        about |= {"name": name, "split": split, "skipped": None}
        output.add(name, crop, about)
        if self._kept.total() % self._show_every == 0:
            self._shown.append(Shown(crop, name))
        self._kept[split] += 1
        return about

    def _skip(self, fault: str, source: str, crop: bytes | None) -> None:
        self._skipped[fault.partition(":")[0].partition(" (")[0]] += 1
        if len(self._refused) < MOST_SKIPPED:
            self._refused.append(Shown(crop, f"{source}: {fault}"))

    def _nothing_kept(self) -> str:
        for record in self._journal.records():
            for _, face, _ in faces_of(record):
                return f"no face was kept ({record['source']}: {face['skipped']}); loosen the threshold"
        return f"no face was found in {len(self._photographs)} photographs of {self._photographs.path}"


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, ensure_ascii=True).encode() + b"\n"
