"""WebDataset's tar shards, read in place by an index of where each picture lies.

With the index every picture is as near as in a zip, so that shuffling, resuming to the batch and sharing among
processes are those of `hsc.data.sampler`; a stream read from front to back can promise none of the three exactly. Only
the bytes of the pictures asked for are read: shards may lie on a network file system and outgrow memory and local
disks. The index costs one header's read a member.
"""

import io
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from hsc.data.archives import refuse_unsafe_member
from hsc.data.checksums import checksums
from hsc.data.pictures import readable
from hsc.data.tars import members_of
from hsc.errors import HscError


class Place(NamedTuple):
    shard: int
    start: int
    length: int


def shards_in(folder: Path) -> list[Path]:
    """The shards that make a folder a sharded set."""
    return sorted(path for path in folder.glob("*.tar") if path.is_file())


class ShardSource:
    """The members of one tar, or of all tars of a folder, there named `SHARD/NAME`.

    The notes (`.json`, `.cls`, `.txt`) that make samples of pictures are passed over. Raises HscError for compressed
    shards, which have no places, and for members that no honest tool makes.
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
        return checksums(self._root, {name: self._states[name] for name in names}, self._read)

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
                        raise HscError(f"{shard}: {member.name}: is no plain file; make the shard again from files")
                    self._places[name] = Place(number, member.offset_data, member.size)
                    self._states[name] = f"{member.size}-{member.offset_data}-{whole.st_size}-{whole.st_mtime_ns}"
        except (tarfile.TarError, OSError, EOFError) as error:
            raise HscError(
                f"{shard}: not a readable tar without compression ({error}); unpack or make it again"
            ) from error
