"""A set of aligned faces: images by name, read in place from a folder or archive."""

import functools
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from hsc.cache import write_to_cache
from hsc.data.archives import DAMAGED_MEMBER, GENERATED_MARKER, STYLES
from hsc.data.pictures import pictures_among, readable, say_once
from hsc.data.places import resolve_data
from hsc.data.sources import UNREADABLE, Source, open_source
from hsc.data.splits import Spec, select_names
from hsc.errors import FileRefused, HscError
from hsc.files import cache_dir
from hsc.images import load_image
from hsc.progress import progress


class Faces:
    """Images by name. Construct with `open_faces`.

    `names` are sorted, unique, relative posix paths; `generated` says whether a generator made the images: results on
    them are too optimistic for a codec with a generative prior.
    """

    def __init__(self, path: Path, source: Source, names: Iterable[str], generated: bool):
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
        """Hash of the images' names and contents, the same for a folder, zip or shards of the same files."""
        return _hash(f"{name}\0{checksum}\n" for name, checksum in self.checksums.items())

    @functools.cached_property
    def pictures_key(self) -> str:
        """Hash of the images' contents in order, regardless of their names."""
        return _hash(f"{checksum}\n" for checksum in self.checksums.values())

    @property
    def sets(self) -> "Mapping[str, Faces]":
        """File names of the sets that the images are from: one, unless several were joined."""
        return {readable(self.path.absolute().name): self}

    @functools.cached_property
    def checksums(self) -> dict[str, str]:
        """The checksum of each image's content, in order. Folders and shards are read once for this."""
        found = self._source.checksums(self.names)
        return {name: found[name] for name in self.names}

    def where(self, name: str) -> str:
        """Archive and member, for messages about the image."""
        return f"{self.path}: {name}"

    def check_square(self, name: str, width: int, height: int) -> None:
        """Raise HscError naming the image, which has this size, unless it is square."""
        if width != height:
            raise HscError(
                f"{self.where(name)} is {width}×{height}, not square: crop and align faces with `hsc data prepare`"
            )

    def load(self, name: str) -> Image.Image:
        """The image as upright 8-bit RGB. Raises HscError naming archive and member if it is absent or broken."""
        label = self.where(name)
        if name not in self._known:
            raise HscError(f"{label}: no such image; names are listed in .names")
        try:
            file = self._source.open(name)
        except OSError as error:
            raise FileRefused(f"{label}: cannot be read ({error.strerror or error}); fix or remove it") from error
        except DAMAGED_MEMBER as error:
            raise HscError(f"{label}: cannot be read ({error}); replace it or leave it out") from error
        with file:
            return load_image(file, label)

    @property
    def unreadable(self) -> set[str]:
        """The names of images that the file system currently refuses to read."""
        return {name for name, found in self.checksums.items() if found == UNREADABLE}

    def styles(self, shape: tuple[int, int] | None = None) -> np.ndarray:
        """W+ [n, rows, w_dim] of the images, in the order of `names`, which generated sets store beside them.

        Raises HscError if the set has none, or not for every image, or if (rows, w_dim) is not `shape`.
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
    """The faces of a folder (with its subfolders), a zip, tar shards or a set generated by hsc (`hsc.data.places`), or
    those that `split` selects (`hsc.data.splits`).

    Other files are skipped, with a message on standard error unless they are hidden. Raises HscError if the path is
    missing, not an archive, encrypted, or contains no images.
    """
    found = resolve_data(path)
    source = open_source(found)
    members = source.members()
    generated = any(PurePosixPath(name).name == GENERATED_MARKER for name in members)
    faces = Faces(found, source, pictures_among(members, found), generated)
    return faces if split is None else faces.select(select_names(faces.names, split))


def without_broken(faces: Faces) -> Faces:
    """The images that can be decoded. All are read once; the broken ones are cached in `hsc.files.cache_dir()`.

    Files that the file system refuses to read (dangling links, missing permissions) are left out too, but not cached:
    they are tried again the next time. What is left out is reported on standard error. Raises HscError if no image
    remains.
    """
    refused = faces.unreadable
    left = faces.select(set(faces.names) - refused)
    known = cache_dir() / "broken" / f"{left.content_key}.json"
    if known.is_file():
        broken = set(json.loads(known.read_text(encoding="utf-8")))
    else:
        broken, newly_refused = _find_broken(left)
        refused |= newly_refused
        if not newly_refused:
            write_to_cache(known, json.dumps(sorted(broken)).encode())
    if len(broken | refused) == len(faces):
        raise HscError(f"{faces.path}: none of the {len(faces)} images can be read; make the data set again")
    for names, what in ((broken, "broken images"), (refused, "unreadable images")):
        if names:
            shown = ", ".join(sorted(names)[:5]) + (", …" if len(names) > 5 else "")
            say_once(f"{faces.path}: leaving out {len(names)} {what}: {shown}")
    return faces.select(set(faces.names) - broken - refused)


def _find_broken(faces: Faces) -> tuple[set[str], set[str]]:
    """Names of images that are broken, and of those that the file system refused to read."""
    faults: dict[str, HscError] = {}
    with ThreadPoolExecutor() as pool, progress(len(faces), "looking for broken images") as advance:
        for name, fault in pool.map(lambda name: (name, _fault(faces, name)), faces.names):
            if fault is not None:
                faults[name] = fault
            advance()
    refused = {name for name, fault in faults.items() if isinstance(fault, FileRefused)}
    return faults.keys() - refused, refused


def _fault(faces: Faces, name: str) -> HscError | None:
    try:
        faces.load(name)
    except HscError as error:
        return error
    return None


def _hash(lines: Iterable[str]) -> str:
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
