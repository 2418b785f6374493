"""Tars of any size and origin, read member by member without keeping a list of them."""

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from hsc.data.archives import MAX_MEMBER_BYTES
from hsc.errors import HscError

_COMPRESSIONS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


@contextmanager
def open_tar(path: Path) -> Iterator[tarfile.TarFile]:
    """A tar for reading, plain or compressed. Reading raises HscError where a header claims more than a picture has."""
    with open(path, "rb") as file:
        start = file.read(8)
    opener = next((opener for magic, opener in _COMPRESSIONS.items() if start.startswith(magic)), open)
    with opener(path, "rb") as content:
        bounded: Any = _Bounded(path, content)
        with tarfile.open(fileobj=bounded, mode="r:") as archive:
            yield archive


def members_of(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Every member in order."""
    for member in archive:
        yield member
        archive.members = []  # type: ignore[attr-defined]  # or they pile up


class _Bounded:
    """A file of which nobody reads more at once than a member may have: tar's own headers can claim gigabytes too."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_MEMBER_BYTES:
            raise HscError(f"{self._path}: a header claims {size:,} bytes; no honest tool makes such archives")
        return self._file.read(size)
