"""Which files of a folder are done, so that an interrupted `hsc encode` or `hsc decode` goes on where it stopped."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from hsc.cli.files import Job
from hsc.errors import HscError
from hsc.files import write_atomically

NAME = ".hsc-unfinished.jsonl"


class Finished:
    """The jobs that are done, and a few values about each, in a file in the output folder until the work is complete.

    Used as a context: leaving it without an error deletes the file, since everything is done. A job counts as done when
    its result exists and its source has not changed since. `settings` (JSON values) is all else that results depend on:
    what was done with other settings is done again. Without a `folder` nothing is kept.
    """

    def __init__(self, folder: Path | None, settings: dict[str, Any]) -> None:
        self._folder, self._settings = folder, json.dumps(settings, sort_keys=True)
        self._done: dict[str, list] = {}
        self._file: TextIO | None = None
        if folder is not None:
            self._path = folder / NAME
            self._done = self._read()
            lines = [self._settings, *(json.dumps(entry) for entry in self._done.items())]
            write_atomically(self._path, "".join(line + "\n" for line in lines).encode())
            self._file = open(self._path, "a", encoding="utf-8")  # noqa: SIM115, closed on leaving the context

    def __enter__(self) -> "Finished":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
            if error is None:
                self._path.unlink(missing_ok=True)

    def __contains__(self, job: object) -> bool:
        if not isinstance(job, Job):
            return False
        entry = self._done.get(self._name(job))
        return entry is not None and entry[0] == _state(job.source) and job.target.is_file()

    def values(self, job: Job) -> tuple[int, ...]:
        """What `add` was told about a job that is done."""
        return tuple(self._done[self._name(job)][1])

    def add(self, job: Job, values: Sequence[int]) -> None:
        """Call when the result is on the disk; after a crash the last few may be done again."""
        if self._file is None:
            return
        entry = [_state(job.source), list(values)]
        try:
            self._file.write(json.dumps((self._name(job), entry)) + "\n")
            self._file.flush()
        except OSError as error:
            raise HscError(f"cannot write {self._path}: {error.strerror}; make room and run again") from error
        self._done[self._name(job)] = entry

    def _name(self, job: Job) -> str:
        return str(job.target.relative_to(self._folder)) if self._folder else str(job.target)

    def _read(self) -> dict[str, list]:
        """Entries made with the same settings; a line that is torn or of no use is work to be done again."""
        try:
            settings, *lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except (OSError, ValueError):
            return {}
        done: dict[str, list] = {}
        for line in lines if settings == self._settings else []:
            try:
                name, (state, values) = json.loads(line)
                done[str(name)] = [state, [int(value) for value in values]]
            except (ValueError, TypeError):
                continue
        return done


def _state(source: Path) -> list[int]:
    """What changes when a file does: its size and when it was written, in nanoseconds."""
    try:
        status = source.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]
