"""A file of finished work, so that a killed run resumes where it stopped."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hsc.errors import HscError


class Journal:
    """Values as JSON, one per line, each added once its work is done.

    header: everything that the values depend on, stored as the first line; a file with another header is replaced. A
    line truncated by a crash is cut off, a damaged one is None: both are work to be repeated.
    Raises HscError if the file cannot be used.
    """

    def __init__(self, path: Path, header: Any = None) -> None:
        self.path = path
        self._header = b"" if header is None else _line(header)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "a+b")  # noqa: SIM115  closed by close()
            self._begin()
        except OSError as error:
            raise HscError(f"cannot use {path}: {error.strerror}; choose a folder you can write to") from error

    def __iter__(self) -> Iterator[Any]:
        """The values, in the order they were added."""
        with open(self.path, "rb") as file:
            file.seek(len(self._header))
            for line in file:
                try:
                    yield json.loads(line)
                except ValueError:
                    yield None

    def add(self, values: Iterable[Any]) -> None:
        """Add values, which then survive a kill."""
        try:
            self._file.write(b"".join(map(_line, values)))
            self._file.flush()
        except OSError as error:
            raise HscError(f"cannot write {self.path}: {error.strerror}; make room and run again") from error

    def keep(self, count: int) -> None:
        """Remove all but the first `count` values."""
        with open(self.path, "rb") as file:
            file.seek(len(self._header))
            length = sum(len(line) for line, _ in zip(file, range(count), strict=False))
        self._file.truncate(len(self._header) + length)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> None:
        content = self.path.read_bytes()
        known = content.startswith(self._header)
        self._file.truncate(content.rfind(b"\n") + 1 if known else 0)
        if not content or not known:
            self._file.write(self._header)
            self._file.flush()


def _line(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"
