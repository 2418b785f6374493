"""A set of aligned faces: the images of a folder, of a zip or of WebDataset's tar shards, read in place.

Nothing is ever extracted from an archive. A set can be passed to worker processes: each opens the archive for itself.
"""

import functools
import hashlib
import io
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

import numpy as np
from PIL import Image

from hsc.data.archives import DAMAGED_MEMBER, GENERATED_MARKER, STYLES, zip_members
from hsc.data.checksums import UNREADABLE, checksum, checksums
from hsc.data.pictures import files_below, pictures_among, readable
from hsc.data.places import resolve_data
from hsc.data.splits import Spec, select_names
from hsc.data.stream import ShardSource, shards_in
from hsc.errors import FileRefused, HscError
from hsc.images import load_image


class _Source(Protocol):
    """Where the bytes come from."""

    def members(self) -> Iterable[str]:
        """The posix names of all files, hidden ones included."""

    def checksums(self, names: Iterable[str]) -> Mapping[str, str]:
        """name → checksum of its content, the same whatever kind of source holds it."""

    def open(self, name: str) -> BinaryIO:
        """The bytes of one member."""


class Faces:
    """Images by name. Construct with `open_faces`.

    `names` are sorted, unique, relative posix paths; `generated` says whether a generator made the images.
    """

    def __init__(self, path: Path, source: _Source, names: Iterable[str], generated: bool):
        self.path = path
        self.names = sorted(names)
        self.generated = generated
        self._source = source
        self._known = frozenset(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Faces({str(self.path)!r}, {len(self)} images)"

    @functools.cached_property
    def content_key(self) -> str:
        """Hash of the images' names and contents; folder, zip and shards of the same files have the same."""
        return _hash(f"{name}\0{checksum}\n" for name, checksum in self.checksums.items())

    @functools.cached_property
    def pictures_key(self) -> str:
        """Hash of the images' contents in their order, whatever they are called."""
        return _hash(f"{checksum}\n" for checksum in self.checksums.values())

    @property
    def sets(self) -> "Mapping[str, Faces]":
        """The sets that the images are from, by their files' names: one, unless several were joined."""
        return {readable(self.path.absolute().name): self}

    @functools.cached_property
    def checksums(self) -> dict[str, str]:
        """The checksum of each name's content, in order. Reads folders and shards once; see `hsc.data.checksums`."""
        found = self._source.checksums(self.names)
        return {name: found[name] for name in self.names}

    def where(self, name: str) -> str:
        """Archive and member, for messages about the image."""
        return f"{self.path}: {name}"

    def load(self, name: str) -> Image.Image:
        """The image as upright 8-bit RGB. Raises HscError naming archive and member when it is absent or broken."""
        label = self.where(name)
        if name not in self._known:
            raise HscError(f"{label}: no such image; names are listed in .names")
        try:
            file = self._source.open(name)
        except OSError as error:
            raise FileRefused(f"{label}: cannot be read ({error.strerror or error}); mend or remove it") from error
        except DAMAGED_MEMBER as error:
            raise HscError(f"{label}: cannot be read ({error}); replace it or leave it out") from error
        with file:
            return load_image(file, label)

    @property
    def unreadable(self) -> set[str]:
        """The names of images that the file system refuses to give now."""
        return {name for name, found in self.checksums.items() if found == UNREADABLE}

    def styles(self, shape: tuple[int, int] | None = None) -> np.ndarray:
        """W+ [n, rows, w_dim] of the images, in the order of `names`, which generated sets keep beside them.

        Raises HscError where the set has none, or not of every image, or where (rows, w_dim) is not `shape`.
        """
        remedy = "write the set with `hsc data sample`"
        try:
            with self._source.open(STYLES) as file:
                held = np.load(io.BytesIO(file.read()), allow_pickle=False)
            found = held[[int(PurePosixPath(name).stem) for name in self.names]]
        except (OSError, KeyError) as error:
            raise HscError(f"{self.path}: holds no W+ of its images ({STYLES}); {remedy}") from error
        except (ValueError, IndexError, EOFError) as error:
            raise HscError(f"{self.path}: {STYLES} is damaged, or not of these images; {remedy}") from error
        if shape is not None and found.shape[1:] != shape:
            has, wanted = (" × ".join(map(str, sides)) for sides in (found.shape[1:], shape))
            raise HscError(
                f"{self.path}: the W+ of its images has {has} numbers, but the model's {wanted}; "
                "write the set with `hsc data sample --generator` and the generator that the model starts from"
            )
        return found

    def select(self, names: Iterable[str]) -> "Faces":
        """The same set with only these images."""
        return Faces(self.path, self._source, names, self.generated)


def open_faces(path: str | Path, split: Spec | None = None) -> Faces:
    """The faces of a folder (with its subfolders), a zip, tar shards or a set that hsc draws (`hsc.data.places`), or
    those that `split` selects (`hsc.data.splits`).

    Other files are passed over, with a line on standard error where they are not hidden. Raises HscError when the path
    is missing, no archive, encrypted, or holds no images.
    """
    found = resolve_data(path)
    source = _source(found)
    members = source.members()
    generated = any(PurePosixPath(name).name == GENERATED_MARKER for name in members)
    faces = Faces(found, source, pictures_among(members, found), generated)
    return faces if split is None else faces.select(select_names(faces.names, split))


def _source(path: Path) -> _Source:
    if path.is_dir():
        return ShardSource(path) if shards_in(path) else _Folder(path)
    return ShardSource(path) if path.suffix == ".tar" else _Zip(path)


def is_generated(faces: Faces) -> bool:
    """Whether a generator made these faces; results on them flatter a codec with a generative prior."""
    return faces.generated


class _Folder:
    def __init__(self, root: Path):
        self.root = root
        self._paths = files_below(root)

    def members(self) -> Iterable[str]:
        return self._paths.keys()

    def checksums(self, names: Iterable[str]) -> dict[str, str]:
        return checksums(
            self.root, {name: self._state(name) for name in names}, lambda name: self._path(name).read_bytes()
        )

    def _state(self, name: str) -> str:
        try:
            status = self._path(name).stat()
        except OSError:
            return ""
        return f"{status.st_size}-{status.st_mtime_ns}"

    def _path(self, name: str) -> Path:
        return self.root / self._paths[name]

    def open(self, name: str) -> BinaryIO:
        return open(self._path(name), "rb")


class _Zip:
    def __init__(self, path: Path):
        self.path = path
        self._opened: tuple[int, zipfile.ZipFile] | None = None

    def __getstate__(self) -> dict:
        return {"path": self.path, "_opened": None}

    def members(self) -> Iterable[str]:
        return self._members.keys()

    def checksums(self, names: Iterable[str]) -> dict[str, str]:
        members = ((name, self._members[name]) for name in names)
        return {name: checksum(info.file_size, info.CRC) for name, info in members}

    def open(self, name: str) -> BinaryIO:
        # Whole: JPEG decoders seek, which is slow inside a compressed member.
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


def _hash(lines: Iterable[str]) -> str:
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
