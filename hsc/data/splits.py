"""Which images belong to which split, as specified in one line of a config.

A spec is one of the following, or a list of them (their union):

- `"00000-03999"`, `"img000-img499"`: the numbers of the file stems, ends included;
- `"*"`, `"female-*"`, `"s0[1-5]/*"`: a glob on the whole name (`*` also crosses `/`);
- `"held-out.txt"`: a text file with one name per line (with or without extension; `#` starts a comment);
- `"5%"`: a share chosen by a hash of each name, so that adding images moves no other image;
- `"00042"`, `"s01/01.pgm"`: one name.
"""

import fnmatch
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from hsc.errors import HscError
from hsc.progress import number_of

Spec = str | Sequence[str]

_RANGE = re.compile(r"(.*?)(\d+)-\1(\d+)")
SHARE = re.compile(r"(\d+(?:\.\d+)?)%")


def split_names(names: Sequence[str], specs: Mapping[str, Spec]) -> dict[str, list[str]]:
    """The names of each split, in the order of `names`.

    Shares of `train` are taken from the opposite end to those of other splits: `train: 95%` and `validation: 5%` are
    exact complements. Raises HscError if a spec selects nothing or two splits share an image.
    """
    chosen: dict[str, list[str]] = {}
    for split, spec in specs.items():
        try:
            chosen[split] = select_names(names, spec, from_top=split == "train")
        except HscError as error:
            raise HscError(f"{split}: {error}") from error
    owner: dict[str, str] = {}
    for split, selected in chosen.items():
        for name in selected:
            if (other := owner.setdefault(name, split)) != split:
                shared = number_of(len(set(selected) & set(chosen[other])), "image")
                raise HscError(f"{other} and {split} share {shared} ({name}, …): make their specs disjoint")
    return chosen


def select_names(names: Sequence[str], spec: Spec, from_top: bool = False) -> list[str]:
    """The names that `spec` selects, in the order given; with `from_top` a share takes the largest hashes.

    Raises HscError if any part of the spec is unreadable or selects nothing.
    """
    selected: set[str] = set()
    for part in [spec] if isinstance(spec, str) else spec:
        if not (matches := _matching(names, part, from_top)):
            known = f"{names[0]} … {names[-1]}" if names else "none"
            raise HscError(f"{part!r} selects none of the {len(names)} images ({known})")
        selected |= matches
    if not selected:
        raise HscError("an empty list selects no images")
    return [name for name in names if name in selected]


def _matching(names: Sequence[str], part: str, from_top: bool) -> set[str]:
    if share := SHARE.fullmatch(part):
        return _share(names, float(share[1]) / 100, from_top)
    if any(sign in part for sign in "*?["):
        return {name for name in names if fnmatch.fnmatchcase(name, part)}
    if part.endswith(".txt"):
        return _listed(names, Path(part))
    if bounds := _RANGE.fullmatch(part):
        return _numbered(names, bounds[1], int(bounds[2]), int(bounds[3]))
    return {name for name in names if part in (name, _without_suffix(name), PurePosixPath(name).stem)}


def _share(names: Sequence[str], share: float, from_top: bool) -> set[str]:
    if share > 1:
        raise HscError(f"{share:.0%} is too large: give at most 100%")
    places = {name: hashed_place(_without_suffix(name)) for name in names}  # regardless of an image's format
    if from_top:
        # Rounded: 1 - 0.9 is a little less than 0.1, and complements must not overlap.
        return {name for name in names if places[name] >= round(1 - share, 12)}
    return {name for name in names if places[name] < round(share, 12)}


def hashed_place(name: str) -> float:
    """A fixed position in [0, 1) for a name."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    # 53 bits: a float64 represents them all exactly, so the result is never rounded up to 1.
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def _numbered(names: Sequence[str], prefix: str, first: int, last: int) -> set[str]:
    pattern = re.compile(re.escape(prefix) + r"(\d+)")
    numbers = {name: pattern.fullmatch(PurePosixPath(name).stem) for name in names}
    return {name for name, number in numbers.items() if number and first <= int(number[1]) <= last}


def _listed(names: Sequence[str], file: Path) -> set[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise HscError(f"cannot read the list of names {file}: {error}") from error
    wanted = {entry for line in lines if (entry := line.partition("#")[0].strip())}
    selected = {name for name in names if name in wanted or _without_suffix(name) in wanted}
    missing = wanted - selected - {_without_suffix(name) for name in selected}
    if missing:
        raise HscError(f"{file} lists {min(missing)}, which is not in the data set ({len(missing)} such names)")
    return selected


def _without_suffix(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))
