"""Where photographs come from: a folder, a zip or a tar, read one file after the other and never extracted."""

import hashlib
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from hsc.data.archives import refuse_bomb, refuse_unsafe_member
from hsc.data.faces import IMAGE_SUFFIXES, is_hidden
from hsc.data.tars import members_of, open_tar
from hsc.errors import HscError


class Photograph(NamedTuple):
    """One file: its posix name in the source and its bytes, or why they cannot be read."""

    name: str
    content: bytes
    error: str = ""


class Photographs:
    """The pictures of a source in a fixed order: by name, or in a tar as they come.

    Files without a picture's extension are passed over and counted in `strangers`. Raises HscError when the source is
    missing, unreadable or holds no pictures, and for archives that no honest tool makes: names that lead out of them,
    links and devices, members twice, encrypted ones, and ones that claim far more than the archive can hold.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        members = self._members()
        pictures = {name: mark for name, mark in members.items() if _is_picture(name)}
        self.names = list(pictures)
        self.strangers = sum(not is_hidden(name) for name in members.keys() - pictures.keys())
        lines = (f"{name}\0{mark}\n" for name, mark in pictures.items())
        self.fingerprint = hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
        if not self.names:
            raise HscError(f"{self.path}: holds no photographs ({', '.join(sorted(IMAGE_SUFFIXES))})")

    def __len__(self) -> int:
        return len(self.names)

    def read(self, start: int = 0) -> Iterator[Photograph]:
        """All photographs from number `start` on."""
        if self.path.is_dir():
            return (_read(name, open, self.path / name, "rb") for name in self.names[start:])
        if _is_zip(self.path):
            return self._read_zip(start)
        return self._read_tar(start)

    def _members(self) -> dict[str, str]:
        """Every file, name → what changes when it does."""
        if self.path.is_dir():
            return _folder_members(self.path)
        if not self.path.is_file():
            raise HscError(f"{self.path}: no such file or folder")
        try:
            if _is_zip(self.path):
                return _zip_members(self.path)
            return _tar_members(self.path)
        except (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError) as error:
            raise HscError(f"{self.path}: neither a folder nor a readable zip or tar ({error})") from error

    def _read_zip(self, start: int) -> Iterator[Photograph]:
        with zipfile.ZipFile(self.path) as archive:
            for name in self.names[start:]:
                yield _read(name, archive.open, name)

    def _read_tar(self, start: int) -> Iterator[Photograph]:
        wanted = set(self.names[start:])
        with open_tar(self.path) as archive:
            for member in members_of(archive):
                if member.name in wanted:
                    yield _read(member.name, archive.extractfile, member)


def _folder_members(root: Path) -> dict[str, str]:
    found = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for file in files:
            path = Path(folder, file)
            if path.is_file():  # no dangling link, socket or pipe
                status = path.stat()
                found[path.relative_to(root).as_posix()] = f"{status.st_size}-{status.st_mtime_ns}"
    return dict(sorted(found.items()))


def _zip_members(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    claimed = 0
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            refuse_unsafe_member(path, info.filename, info.file_size, info.filename in found)
            if info.is_dir():
                continue
            if stat.S_ISLNK(info.external_attr >> 16):
                raise HscError(f"{path}: {info.filename}: is a link; make the archive again from the files themselves")
            if info.flag_bits & 0x1:
                raise HscError(f"{path}: {info.filename}: encrypted; make the archive again without a password")
            found[info.filename] = f"{info.file_size}-{info.CRC:08x}"
            claimed += info.file_size
    refuse_bomb(path, claimed)
    return dict(sorted(found.items()))


def _tar_members(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    claimed, whole = 0, path.stat()
    with open_tar(path) as archive:
        for member in members_of(archive):
            refuse_unsafe_member(path, member.name, member.size, member.name in found)
            if not (member.isfile() or member.isdir()):
                raise HscError(
                    f"{path}: {member.name}: is a link or a device; make the archive again from the files themselves"
                )
            claimed += member.size
            refuse_bomb(path, claimed)  # at once: reading on would inflate what is claimed
            if member.isfile():
                found[member.name] = f"{member.size}-{whole.st_size}-{whole.st_mtime_ns}"
    return found


def _is_zip(path: Path) -> bool:
    """By its beginning: a tar that ends in a zip looks like one from behind."""
    with open(path, "rb") as file:
        return file.read(2) == b"PK"


def _read(name: str, opener: Callable[..., Any], *arguments: Any) -> Photograph:
    try:
        with opener(*arguments) as file:
            return Photograph(name, file.read())
    except (
        OSError,
        EOFError,
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        lzma.LZMAError,
        NotImplementedError,
    ) as error:
        return Photograph(name, b"", f"cannot be read ({error})")


def _is_picture(name: str) -> bool:
    return not is_hidden(name) and PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES
