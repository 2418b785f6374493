"""Training faces from several sets: the first is split, the others are used for training only."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from hsc.data.faces import Faces, open_faces
from hsc.data.pictures import say_once
from hsc.data.sources import UNREADABLE
from hsc.data.splits import Spec, split_names
from hsc.errors import HscError

Sets = str | Sequence[str]
"""A folder, a zip or shards, or several of them."""


class JoinedFaces(Faces):
    """Several sets as one, in order: each face is `SET/NAME`, such as `celeba128.zip/train/182638.jpg`.

    `path` is that of the first set; `generated` says whether a generator made all of them.
    """

    def __init__(self, sets: Mapping[str, Faces]):
        first = next(iter(sets.values()))
        self.path, self.generated = first.path, all(faces.generated for faces in sets.values())
        self._places = {f"{label}/{name}": (faces, name) for label, faces in sets.items() for name in faces.names}
        self.names = list(self._places)
        self._sets = dict(sets)

    def __repr__(self) -> str:
        return f"JoinedFaces({list(self._sets.values())})"

    @property
    def sets(self) -> Mapping[str, Faces]:
        return self._sets

    @functools.cached_property
    def checksums(self) -> dict[str, str]:
        return {
            f"{label}/{name}": found for label, faces in self._sets.items() for name, found in faces.checksums.items()
        }

    def where(self, name: str) -> str:
        faces, own = self._place(name)
        return faces.where(own)

    def load(self, name: str) -> Image.Image:
        faces, own = self._place(name)
        return faces.load(own)

    def _place(self, name: str) -> tuple[Faces, str]:
        """The set that contains the image, and the image's name there."""
        if name not in self._places:
            raise HscError(f"{name}: no such image; names are listed in .names")
        return self._places[name]

    def styles(self, shape: tuple[int, int] | None = None) -> np.ndarray:
        return np.concatenate([faces.styles(shape) for faces in self._sets.values()])

    def select(self, names: Iterable[str]) -> "JoinedFaces":
        wanted = frozenset(names)
        chosen = {
            label: [name for name in faces.names if f"{label}/{name}" in wanted] for label, faces in self._sets.items()
        }
        return JoinedFaces({label: self._sets[label].select(names) for label, names in chosen.items()})


def first_set(path: Sets) -> str:
    """The set that is split into training and validation."""
    return path if isinstance(path, str) else path[0]


def joined(sets: Sequence[Faces]) -> Faces:
    """Several sets as one; a single set is returned unchanged."""
    return sets[0] if len(sets) == 1 else JoinedFaces(dict(zip(_labels(sets), sets, strict=True)))


def split_sets(path: Sets, specs: Mapping[str, Spec]) -> dict[str, list[Faces]]:
    """The sets of each split: the selection from the first set and, for `train`, all of the other sets.

    A face of another set that is identical to a validation image of the first is left out, with a line on standard
    error. Raises HscError for a set given twice, for one that contains nothing else, and as `split_names` and
    `open_faces` do.
    """
    main, *others = [open_faces(one) for one in ([path] if isinstance(path, str) else path)]
    places = [faces.path.resolve() for faces in (main, *others)]
    for number, faces in enumerate(others, start=1):
        if places[number] in places[:number]:
            raise HscError(f"data: {faces.path} is given twice: name each set once")
    splits = {name: [main.select(names)] for name, names in split_names(main.names, specs).items()}
    if "validation" in splits:
        others = [_without(faces, splits["validation"][0]) for faces in others]
    return splits | {"train": splits["train"] + others}


def _without(faces: Faces, held_out: Faces) -> Faces:
    """The faces whose content is not that of a held-out image."""
    contents = set(held_out.checksums.values()) - {UNREADABLE}
    shared = {name for name, found in faces.checksums.items() if found in contents}
    if not shared:
        return faces
    if len(shared) == len(faces):
        raise HscError(f"{faces.path}: contains only validation images of {held_out.path}: leave it out")
    say_once(
        f"{faces.path}: leaving out {len(shared)} validation images of {held_out.path}: {min(shared)}"
        + (", …" if len(shared) > 1 else "")
    )
    return faces.select(set(faces.names) - shared)


def _labels(sets: Iterable[Faces]) -> list[str]:
    """A name for each set: its file name, with a number if two are equal."""
    labels: list[str] = []
    for faces in sets:
        own = PurePosixPath(*faces.sets)
        label, number = str(own), 1
        while label in labels:
            number += 1
            label = str(own.with_stem(f"{own.stem}-{number}"))
        labels.append(label)
    return labels
