"""Sources of picture files: a folder, a zip or WebDataset tar shards, read in place.

Nothing is ever extracted from an archive. A source can be passed to worker processes: each opens the archive itself.
"""

import functools
import hashlib
import io
import json
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from hsc.cache import write_to_cache
from hsc.data.archives import DAMAGED_MEMBER, members_of, refuse_unsafe_member, zip_members
from hsc.data.pictures import files_below, readable
from hsc.errors import HscError
from hsc.files import cache_dir

UNREADABLE = "unreadable"


class Source(Protocol):
    """Files by their posix names."""

    def members(self) -> Iterable[str]:
        """The names of all files, hidden ones included."""

    def state(self, name: str) -> str:
        """A value that changes whenever the content of a file does."""

    def checksums(self, names: Iterable[str]) -> Mapping[str, str]:
        """name → checksum of its content, the same for every kind of source."""

    def open(self, name: str) -> BinaryIO:
        """The bytes of one file."""


def open_source(path: Path) -> Source:
    """The source for a folder, a tar or a zip."""
    if path.is_dir():
        return ShardSource(path) if shards_in(path) else FolderSource(path)
    return ShardSource(path) if path.suffix == ".tar" else ZipSource(path)


class FolderSource:
    """The files of a folder and its subfolders."""

    def __init__(self, root: Path):
        self.root = root
        self._paths = files_below(root)

    def members(self) -> Iterable[str]:
        return self._paths.keys()

    def checksums(self, names: Iterable[str]) -> dict[str, str]:
        return checksums(
            self.root, {name: self.state(name) for name in names}, lambda name: self._path(name).read_bytes()
        )

    def state(self, name: str) -> str:
        try:
            status = self._path(name).stat()
        except OSError:
            return ""
        return f"{status.st_size}-{status.st_mtime_ns}"

    def _path(self, name: str) -> Path:
        return self.root / self._paths[name]

    def open(self, name: str) -> BinaryIO:
        return open(self._path(name), "rb")


class ZipSource:
    """The files of a zip. Raises HscError if it is not a zip."""

    def __init__(self, path: Path):
        self.path = path
        self._opened: tuple[int, zipfile.ZipFile] | None = None

    def __getstate__(self) -> dict:
        return {"path": self.path, "_opened": None}

    def members(self) -> Iterable[str]:
        return self._members.keys()

    def checksums(self, names: Iterable[str]) -> dict[str, str]:
        return {name: self.state(name) for name in names}

    def state(self, name: str) -> str:
        return checksum(self._members[name].file_size, self._members[name].CRC)

    def open(self, name: str) -> BinaryIO:
        # Read whole: JPEG decoders seek, which is slow inside a compressed member.
        return io.BytesIO(self._archive().read(self._members[name]))

    @functools.cached_property
    def _members(self) -> dict[str, zipfile.ZipInfo]:
        return zip_members(self.path, self._archive())

    def _archive(self) -> zipfile.ZipFile:
        """This process's own handle: a forked worker shares its parent's file position."""
        if self._opened is None or self._opened[0] != os.getpid():
            try:
                self._opened = os.getpid(), zipfile.ZipFile(self.path)
            except (OSError, *DAMAGED_MEMBER) as error:
                raise HscError(f"{self.path}: neither a folder nor a readable zip ({error})") from error
        return self._opened[1]


class Place(NamedTuple):
    shard: int
    start: int
    length: int


def shards_in(folder: Path) -> list[Path]:
    """The shards in a folder, which make it a sharded set."""
    return sorted(path for path in folder.glob("*.tar") if path.is_file())


class ShardSource:
    """WebDataset tar shards, read in place by an index of the pictures' positions: the members of one tar, or of all
    tars of a folder, then named `SHARD/NAME`.

    The index gives random access as in a zip, so that shuffling, exact resuming and distribution among processes are
    those of `hsc.data.sampler`; a stream that is read sequentially can guarantee none of the three. Only the bytes of
    the requested pictures are read: shards may be on a network file system and larger than memory and local disks.
    Building the index reads one header per member. The metadata files (`.json`, `.cls`, `.txt`) that accompany pictures
    in samples are skipped. Raises HscError for compressed shards, which allow no random access, and for malicious
    members.
    """

    NOTES = frozenset({".json", ".cls", ".txt", ".jsonl"})

    def __init__(self, path: Path) -> None:
        self.shards = shards_in(path) if path.is_dir() else [path]
        self._root, self._several = path, path.is_dir()
        self._places: dict[str, Place] = {}
        self._states: dict[str, str] = {}
        for number, shard in enumerate(self.shards):
            self._index(number, shard)
        self._opened: dict[int, tuple[int, int]] = {}  # shard → process, descriptor

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_opened": {}}

    def members(self) -> list[str]:
        return list(self._places)

    def checksums(self, names: Iterable[str]) -> dict[str, str]:
        return checksums(self._root, {name: self.state(name) for name in names}, self._read)

    def state(self, name: str) -> str:
        return self._states[name]

    def open(self, name: str) -> BinaryIO:
        return io.BytesIO(self._read(name))

    def _read(self, name: str) -> bytes:
        place = self._places[name]
        return os.pread(self._descriptor(place.shard), place.length, place.start)

    def _descriptor(self, number: int) -> int:
        """This process's own handle on a shard."""
        process, descriptor = self._opened.get(number, (0, -1))
        if process != os.getpid():
            descriptor = os.open(self.shards[number], os.O_RDONLY)
            self._opened[number] = os.getpid(), descriptor
        return descriptor

    def _index(self, number: int, shard: Path) -> None:
        whole = shard.stat()
        prefix = f"{shard.stem}/" if self._several else ""
        try:
            with tarfile.open(shard, "r:") as archive:
                for member in members_of(archive):
                    if member.isdir() or Path(member.name).suffix.lower() in self.NOTES:
                        continue
                    name = prefix + readable(member.name)
                    refuse_unsafe_member(shard, member.name, member.size, name in self._places)
                    if not member.isreg() or member.issparse():
                        raise HscError(f"{shard}: {member.name}: is not a plain file; make the shard again from files")
                    self._places[name] = Place(number, member.offset_data, member.size)
                    self._states[name] = f"{member.size}-{member.offset_data}-{whole.st_size}-{whole.st_mtime_ns}"
        except (tarfile.TarError, OSError, EOFError) as error:
            raise HscError(
                f"{shard}: not a readable tar without compression ({error}); unpack or make it again"
            ) from error


def checksum(size: int, crc: int) -> str:
    """Checksum of a content of `size` bytes with this CRC-32, both of which zip archives store for each member."""
    return f"{size}-{crc:08x}"


def checksums(root: Path, states: Mapping[str, str], read: Callable[[str], bytes]) -> dict[str, str]:
    """name → checksum of the content returned by `read(name)`.

    `states`: name → a value that changes whenever the content does, such as size and time of change. Checksums are
    cached by root, name and state in `hsc.files.cache_dir()`, if that is writable. The checksum of a file that cannot
    be read is `UNREADABLE`, and it is tried again the next time.
    """
    file = cache_dir() / "checksums" / f"{hashlib.sha256(_bytes(root.resolve())).hexdigest()}.json"
    known = _known(file)
    unread = [name for name, state in states.items() if name not in known or known[name][0] != state]
    found = {name: known[name][1] for name in states.keys() - set(unread)}

    def add(name: str) -> tuple[str, str]:
        try:
            content = read(name)
        except OSError:
            return name, UNREADABLE
        return name, checksum(len(content), zlib.crc32(content))

    if unread:
        with ThreadPoolExecutor() as pool:  # reading and checksums release the GIL
            found |= dict(pool.map(add, unread))
        known |= {name: (states[name], found[name]) for name in unread if found[name] != UNREADABLE}
        write_to_cache(file, json.dumps(known).encode())
    return found


def _known(file: Path) -> dict[str, tuple[str, str]]:
    try:
        return {str(name): (str(state), str(found)) for name, (state, found) in json.loads(file.read_text()).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _bytes(path: Path) -> bytes:
    return str(path).encode("utf-8", "surrogateescape")
