"""Prepared faces on disk: one zip, or a folder of WebDataset tar shards. Equal faces give equal bytes."""

import io
import json
import os
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Protocol

from hsc.data.archives import zip_member
from hsc.data.prepare.contact_sheet import SHEET_START
from hsc.errors import HscError
from hsc.files import ZIP_COMMENT, hidden_beside, refuse_overwriting, zip_made_here

MANIFEST_START = '{"name": '
SHARD = "{split}-{number:06d}.tar"


class Output(Protocol):
    """Writes faces one after the other."""

    def add(self, name: str, content: bytes, about: dict[str, Any]) -> None:
        """name: posix, starting with the split. about: metadata stored beside the picture in shards."""


class Places(NamedTuple):
    """Paths of the results."""

    faces: Path  # OUT.zip, or the folder OUT of shards
    manifest: Path
    sheet: Path


def places_of(out: Path) -> Places:
    """The path of the faces, and two beside it."""
    return Places(out, *(out.with_name(out.stem + ending) for ending in (".manifest.jsonl", ".html")))


def check_output(source: Path, out: Path, force: bool) -> None:
    """Raise HscError if the results could not be written, or would replace files that are not earlier results.

    A folder that is not empty is never replaced.
    """
    places = places_of(out)
    if out.suffix not in (".zip", ""):
        raise HscError(f"{out}: name a file that ends in .zip, or a folder (without an ending) for WebDataset shards")
    if out.suffix == "" and out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise HscError(f"{out} is there already: remove it or choose another name for the shards")
    refuse_overwriting(places if out.suffix else places[1:], [source], _made_here, force)


def _made_here(path: Path) -> bool:
    if path.suffix == ".zip":
        return zip_made_here(path)
    with open(path, "rb") as file:
        start = file.readline(10_000)
    if path.suffix == ".html":
        return start.strip() == SHEET_START.encode()
    return start.startswith(MANIFEST_START.encode())


@contextmanager
def zip_output(file: Any) -> Iterator[Output]:
    """A zip of pictures, without further compression."""

    class _Zip:
        def add(self, name: str, content: bytes, about: dict[str, Any]) -> None:
            archive.writestr(zip_member(name), content)

    with zipfile.ZipFile(file, "w") as archive:
        archive.comment = ZIP_COMMENT
        yield _Zip()


@contextmanager
def shard_output(out: Path, per_shard: int) -> Iterator[Output]:
    """Shards `train-000000.tar`, … of `per_shard` faces each; the folder appears once all of them are complete."""
    temporary = hidden_beside(out, ".writing")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    shards = _Shards(temporary, per_shard)
    try:
        yield shards
        shards.close()
        if out.is_dir():
            out.rmdir()
        os.replace(temporary, out)
    except OSError as error:
        raise HscError(f"cannot write {out}: {error.strerror or error}; choose a folder with space") from error
    finally:
        shards.close()
        shutil.rmtree(temporary, ignore_errors=True)


class _Shards:
    """A sample is a picture and a .json file of its metadata."""

    def __init__(self, folder: Path, per_shard: int) -> None:
        self._folder, self._per_shard = folder, per_shard
        self._counts: dict[str, int] = {}
        self._open: dict[str, tarfile.TarFile] = {}

    def add(self, name: str, content: bytes, about: dict[str, Any]) -> None:
        split, _, inside = name.partition("/")
        count = self._counts.get(split, 0)
        if count % self._per_shard == 0:
            if split in self._open:
                self._open.pop(split).close()
            path = self._folder / SHARD.format(split=split, number=count // self._per_shard)
            self._open[split] = tarfile.TarFile(path, "w", format=tarfile.USTAR_FORMAT)
        self._counts[split] = count + 1
        _add(self._open[split], inside, content)
        note = json.dumps(about, ensure_ascii=True).encode()
        _add(self._open[split], str(PurePosixPath(inside).with_suffix(".json")), note)

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()


def _add(shard: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    try:
        shard.addfile(member, io.BytesIO(content))
    except ValueError as error:  # longer than a tar's header can hold
        raise HscError(f"{name}: cannot be a name in a tar ({error}); shorten the names of its folders") from error
