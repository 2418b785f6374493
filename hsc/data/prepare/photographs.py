"""Source of photographs: a folder, a zip or a tar, read one file after the other and never extracted."""

import hashlib
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hsc.data.archives import DAMAGED_MEMBER, members_of, open_tar, refuse_bomb, refuse_unsafe_member
from hsc.data.pictures import pictures_among, readable
from hsc.data.sources import FolderSource, ZipSource
from hsc.errors import HscError


class Photograph(NamedTuple):
    """One file: its posix name in the source and its bytes, or the reason why it cannot be read.

    refused: whether the file system refused to read it, so that nothing is known about the content.
    """

    name: str
    content: bytes
    error: str = ""
    refused: bool = False


class Photographs:
    """The pictures of a source in a fixed order: by name, or for a tar in archive order.

    Other files are skipped, with a message on standard error unless they are hidden. Raises HscError if the source is
    missing, unreadable or contains no pictures, and for malformed archives: names that lead out of them, links and
    devices, duplicate members, encrypted ones, and ones that claim more than the archive can hold.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._source = _source(self.path)
        self.names = pictures_among(self._source.members(), self.path)
        if isinstance(self._source, _Tar):
            pictures = set(self.names)
            self.names = [name for name in self._source.members() if name in pictures]
        lines = (f"{name}\0{self._source.state(name)}\n" for name in self.names)
        self.fingerprint = hashlib.sha256("".join(lines).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.names)

    def read(self, start: int = 0) -> Iterator[Photograph]:
        """All photographs from index `start` on."""
        wanted = self.names[start:]
        if isinstance(self._source, _Tar):
            return self._source.read(wanted)
        return (_read(name, self._source.open, name) for name in wanted)

    def gives(self, name: str) -> bool:
        """Whether the file system now allows this photograph to be read."""
        return not isinstance(self._source, FolderSource) or not _read(name, self._source.open, name).refused


def _source(path: Path) -> "FolderSource | ZipSource | _Tar":
    if path.is_dir():
        return FolderSource(path)
    if not path.is_file():
        raise HscError(f"{path}: no such file or folder")
    with open(path, "rb") as file:  # by its first bytes: a tar that ends with a zip also looks like a zip
        is_zip = file.read(2) == b"PK"
    return ZipSource(path) if is_zip else _Tar(path)


class _Tar:
    """The files of a tar, which is read sequentially since it may be compressed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._states: dict[str, str] = {}
        try:
            with open_tar(path) as archive:
                self._index(archive)
        except (OSError, *DAMAGED_MEMBER) as error:
            raise HscError(f"{path}: neither a folder nor a readable zip or tar ({error})") from error

    def members(self) -> list[str]:
        return list(self._states)

    def state(self, name: str) -> str:
        return self._states[name]

    def read(self, names: list[str]) -> Iterator[Photograph]:
        wanted = set(names)
        with open_tar(self._path) as archive:
            for member in members_of(archive):
                if (name := readable(member.name)) in wanted:
                    yield _read(name, archive.extractfile, member)

    def _index(self, archive: tarfile.TarFile) -> None:
        claimed, whole = 0, self._path.stat()
        for member in members_of(archive):
            name = readable(member.name)
            refuse_unsafe_member(self._path, name, member.size, name in self._states)
            if not (member.isfile() or member.isdir()):
                label = f"{self._path}: {name}"
                raise HscError(f"{label}: is a link or a device; make the archive again from the files themselves")
            claimed += member.size
            refuse_bomb(self._path, claimed)  # before reading on, which would decompress the claimed bytes
            if member.isfile():
                self._states[name] = f"{member.size}-{whole.st_size}-{whole.st_mtime_ns}"


def _read(name: str, opener: Callable[..., Any], *arguments: Any) -> Photograph:
    try:
        with opener(*arguments) as file:
            return Photograph(name, file.read())
    except DAMAGED_MEMBER as error:
        return Photograph(name, b"", f"cannot be read ({error})")
    except OSError as error:
        # Decompressors raise it too, without an errno.
        return Photograph(name, b"", f"cannot be read ({error.strerror or error})", refused=error.errno is not None)
