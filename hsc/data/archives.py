"""Zips and tars of any size and origin: limits they must respect, how they are read, and how hsc writes its own."""

import bz2
import gzip
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from hsc.errors import HscError

# Far above any photograph; a member that claims more is a mistake or a decompression bomb.
MAX_MEMBER_BYTES = 256 * 2**20
# Photographs hardly compress; an archive whose members claim far more bytes in total than it has is a bomb.
MAX_EXPANSION = 200
HARMLESS_BYTES = 2**30
# Exceptions raised on reading a damaged archive or member.
DAMAGED_MEMBER = (
    EOFError, zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError,
    UnicodeDecodeError,
)  # fmt: skip
# A hidden file, so that it survives unzipping and every reader ignores it as an image.
GENERATED_MARKER = ".generated-faces"
# W+ of generated faces, [N, rows, w_dim]; row i belongs to the face named by its number, such as `00012.png`.
STYLES = ".generated-styles.npy"
_KNOWN_COMPRESSIONS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA} | (
    {zipfile.ZIP_ZSTANDARD} if hasattr(zipfile, "ZIP_ZSTANDARD") else set()  # from Python 3.14 on
)
_COMPRESSIONS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


def refuse_unsafe_member(archive: Path, name: str, size: int, known: bool) -> None:
    """Raise HscError for a member that is a duplicate, claims too many bytes or is named to lie outside the archive."""
    label, path = f"{archive}: {name}", PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
        raise HscError(f"{label}: leads out of the archive; make the archive again with relative names")
    if size > MAX_MEMBER_BYTES:
        raise HscError(f"{label}: claims {size:,} bytes, more than the {MAX_MEMBER_BYTES:,} allowed")
    if known:
        raise HscError(f"{label}: is in the archive twice; make the archive again with unique names")


def zip_members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The files of a zip by posix name, in archive order; backslashes, which Windows writes, separate folders.

    Raises HscError for members that are unsafe, links, encrypted, or compressed with an unsupported method, and for
    archives that claim far more than they can hold.
    """
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.replace("\\", "/")
        if name.endswith("/"):
            continue
        refuse_unsafe_member(path, name, info.file_size, known=name in found)
        label = f"{path}: {name}"
        if stat.S_ISLNK(info.external_attr >> 16):
            raise HscError(f"{label}: is a link; make the archive again from the files themselves")
        if info.flag_bits & 0x1:
            raise HscError(f"{label}: encrypted; make the archive again without a password")
        if info.compress_type not in _KNOWN_COMPRESSIONS:
            names: dict[int, str] = zipfile.compressor_names  # type: ignore[attr-defined]
            method = names.get(info.compress_type, f"method {info.compress_type}")
            raise HscError(
                f"{label}: compressed by {method}, which cannot be read; make the archive again with deflate"
            )
        found[name] = info
    refuse_bomb(path, sum(info.file_size for info in found.values()))
    return found


@contextmanager
def open_tar(path: Path) -> Iterator[tarfile.TarFile]:
    """A tar for reading, plain or compressed. Reading raises HscError if a header claims more than a picture has."""
    with open(path, "rb") as file:
        start = file.read(8)
    opener = next((opener for magic, opener in _COMPRESSIONS.items() if start.startswith(magic)), open)
    with opener(path, "rb") as content:
        bounded: Any = _Bounded(path, content)
        with tarfile.open(fileobj=bounded, mode="r:") as archive:
            yield archive


def members_of(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Every member in order, without keeping a list of them."""
    for member in archive:
        yield member
        archive.members = []  # type: ignore[attr-defined]  # otherwise they accumulate


def refuse_bomb(archive: Path, claimed: int) -> None:
    """Raise HscError if the members claim far more bytes than pictures in an archive of this size can have."""
    held = archive.stat().st_size
    if claimed > max(HARMLESS_BYTES, MAX_EXPANSION * held):
        raise HscError(f"{archive}: {held:,} bytes claim to hold {claimed:,}: a decompression bomb; do not use it")


def zip_member(name: str) -> zipfile.ZipInfo:
    """An entry with a fixed timestamp, readable by everyone: equal content gives equal archives."""
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.external_attr = 0o644 << 16
    info.create_system = 3  # Unix, on any system
    return info


class _Bounded:
    """A file with a limit on the size of a read, that of a member, since tar's own headers can also claim gigabytes."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_MEMBER_BYTES:
            raise HscError(f"{self._path}: a header claims {size:,} bytes; the archive is malformed")
        return self._file.read(size)
