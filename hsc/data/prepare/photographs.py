"""Where photographs come from: a folder, a zip or a tar, read one file after the other and never extracted."""

import hashlib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hsc.data.archives import DAMAGED_MEMBER, refuse_bomb, refuse_unsafe_member, zip_members
from hsc.data.checksums import checksum
from hsc.data.pictures import files_below, pictures_among, readable
from hsc.data.tars import members_of, open_tar
from hsc.errors import HscError


class Photograph(NamedTuple):
    """One file: its posix name in the source and its bytes, or why they cannot be read.

    refused: whether it was the file system that did not give them, so that nothing is known about the content.
    """

    name: str
    content: bytes
    error: str = ""
    refused: bool = False


class Photographs:
    """The pictures of a source in a fixed order: by name, or in a tar as they come.

    Other files are passed over, with a line on standard error where they are not hidden. Raises HscError when the
    source is missing, unreadable or holds no pictures, and for archives that no honest tool makes: names that lead out
    of them, links and devices, members twice, encrypted ones, and ones that claim more than the archive can hold.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        members = self._members()
        pictures = set(pictures_among(members, self.path))
        self.names = [name for name in members if name in pictures]
        lines = (f"{name}\0{members[name]}\n" for name in self.names)
        self.fingerprint = hashlib.sha256("".join(lines).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.names)

    def read(self, start: int = 0) -> Iterator[Photograph]:
        """All photographs from number `start` on."""
        if self.path.is_dir():
            return (self._read_file(name) for name in self.names[start:])
        if _is_zip(self.path):
            return self._read_zip(start)
        return self._read_tar(start)

    def gives(self, name: str) -> bool:
        """Whether the file system gives this photograph now."""
        return not self.path.is_dir() or not self._read_file(name).refused

    def _read_file(self, name: str) -> Photograph:
        return _read(name, open, self.path / self._files[name], "rb")

    def _members(self) -> dict[str, str]:
        """Every file, name → what changes when it does."""
        if self.path.is_dir():
            self._files = files_below(self.path)
            return {name: _state(self.path / path) for name, path in self._files.items()}
        if not self.path.is_file():
            raise HscError(f"{self.path}: no such file or folder")
        try:
            if _is_zip(self.path):
                return _zip_members(self.path)
            return _tar_members(self.path)
        except (OSError, *DAMAGED_MEMBER) as error:
            raise HscError(f"{self.path}: neither a folder nor a readable zip or tar ({error})") from error

    def _read_zip(self, start: int) -> Iterator[Photograph]:
        with zipfile.ZipFile(self.path) as archive:
            members = zip_members(self.path, archive)
            for name in self.names[start:]:
                yield _read(name, archive.open, members[name])

    def _read_tar(self, start: int) -> Iterator[Photograph]:
        wanted = set(self.names[start:])
        with open_tar(self.path) as archive:
            for member in members_of(archive):
                if (name := readable(member.name)) in wanted:
                    yield _read(name, archive.extractfile, member)


def _state(path: Path) -> str:
    """What changes when a file does."""
    try:
        status = path.stat()
    except OSError:
        return "absent"
    return f"{status.st_size}-{status.st_mtime_ns}"


def _zip_members(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as archive:
        members = dict(sorted(zip_members(path, archive).items()))
    refuse_bomb(path, sum(info.file_size for info in members.values()))
    return {name: checksum(info.file_size, info.CRC) for name, info in members.items()}


def _tar_members(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    claimed, whole = 0, path.stat()
    with open_tar(path) as archive:
        for member in members_of(archive):
            name = readable(member.name)
            refuse_unsafe_member(path, name, member.size, name in found)
            if not (member.isfile() or member.isdir()):
                raise HscError(
                    f"{path}: {name}: is a link or a device; make the archive again from the files themselves"
                )
            claimed += member.size
            refuse_bomb(path, claimed)  # at once: reading on would inflate what is claimed
            if member.isfile():
                found[name] = f"{member.size}-{whole.st_size}-{whole.st_mtime_ns}"
    return found


def _is_zip(path: Path) -> bool:
    """By its beginning: a tar that ends in a zip looks like one from behind."""
    with open(path, "rb") as file:
        return file.read(2) == b"PK"


def _read(name: str, opener: Callable[..., Any], *arguments: Any) -> Photograph:
    try:
        with opener(*arguments) as file:
            return Photograph(name, file.read())
    except DAMAGED_MEMBER as error:
        return Photograph(name, b"", f"cannot be read ({error})")
    except OSError as error:
        # Decompressors raise it too, without a number.
        return Photograph(name, b"", f"cannot be read ({error.strerror or error})", refused=error.errno is not None)
