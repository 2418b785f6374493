"""Decisions on each face: near-duplicates are skipped, the others get a split by identity and a name."""

import posixpath
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from hsc.data.prepare.settings import Settings
from hsc.data.splits import SHARE, hashed_place

TRAIN = "train"


def common_folder(names: Sequence[str]) -> PurePosixPath:
    """The folder that contains all pictures, which carries no information on identity."""
    return PurePosixPath(posixpath.commonpath([PurePosixPath(name).parent for name in names]))


def identity_of(name: str, common: PurePosixPath) -> str:
    """The person: the picture's folder below the common one or, for a picture directly in that, the picture itself."""
    place = PurePosixPath(name).relative_to(common)
    return str(place.with_suffix("") if len(place.parts) == 1 else place.parent)


class SeenFaces:
    """The hashes of the faces that are kept, for finding near-duplicates. 32 bytes per face."""

    def __init__(self, max_distance: int) -> None:
        self._max_distance = max_distance
        self._hashes = np.empty((1024, 32), np.uint8)
        self._names: list[str] = []

    def twin(self, hash_: bytes) -> tuple[str, int] | None:
        """The nearest face close enough to be the same picture, and the number of bits that differ."""
        if not self._names or self._max_distance < 0:
            return None
        new = np.frombuffer(hash_, np.uint8)
        distances = np.bitwise_count(self._hashes[: len(self._names)] ^ new).sum(1)
        nearest = int(distances.argmin())
        distance = int(distances[nearest])
        return (self._names[nearest], distance) if distance <= self._max_distance else None

    def add(self, name: str, hash_: bytes) -> None:
        if len(self._names) == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.empty_like(self._hashes)])
        self._hashes[len(self._names)] = np.frombuffer(hash_, np.uint8)
        self._names.append(name)


def splits(identities: Iterable[str], settings: Settings) -> dict[str, str]:
    """The split of each identity, by a hash of its name: no identity is in two splits, and adding one to the set moves
    no other (if splits are given as shares; a given number of identities takes those with the lowest hashes).
    """
    rest = sorted(set(identities))
    chosen: dict[str, str] = {}
    for split, wanted in (("test", settings.test), ("validation", settings.validation)):
        places = {identity: hashed_place(f"{split}\0{identity}") for identity in rest}  # different for each split
        ranked = sorted(rest, key=places.__getitem__)
        if share := SHARE.fullmatch(wanted):
            taken = [identity for identity in ranked if places[identity] < float(share[1]) / 100]
        else:
            taken = ranked[: int(wanted)]
        chosen |= dict.fromkeys(taken, split)
        rest = [identity for identity in rest if identity not in chosen]
    return chosen | dict.fromkeys(rest, TRAIN)


class Names:
    """Unique names in the prepared set: split, folders and stem of the source."""

    def __init__(self, common: PurePosixPath, suffix: str) -> None:
        self._common, self._suffix = common, suffix
        self._given: set[str] = set()

    def give(self, split: str, source: str, number: int) -> str:
        """A name for the face with this index in a photograph; names of faces from `a.png` and `a.jpg` differ."""
        place = PurePosixPath(source).relative_to(self._common)
        # WebDataset takes everything up to the first dot of a file name as the sample's key.
        stem = place.stem.replace(".", "-") + (f"-{number + 1}" if number else "")
        base = str(PurePosixPath(split, place.parent, stem))
        name, again = base, 1
        while name in self._given:
            again += 1
            name = f"{base}-again{again}"
        self._given.add(name)
        return f"{name}.{self._suffix}"


def faces_of(record: dict[str, Any]) -> Iterable[tuple[int, dict[str, Any], tuple[int, int]]]:
    """(index, face, position of its crop) of a photograph in the work journal."""
    for number, (face, place) in enumerate(zip(record["faces"], record["crops"], strict=True)):
        yield number, face, (place[0], place[1])
