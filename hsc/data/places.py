"""Where a set of faces is: a path, here or in the data folder, or `generated:N`, N faces that hsc draws itself."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from hsc.cache import cached_file
from hsc.errors import HscError
from hsc.files import cache_dir, data_dir, sha256
from hsc.released import DEFAULT_PRIOR, find_weights

GENERATED = "generated:"


def resolve_data(path: str | Path) -> Path:
    """`path` as given, or inside the data folder (HSC_DATA) when it is relative and not found here.

    `generated:N` is the zip that `hsc data sample OUT.zip --count N` writes, drawn on the first call and kept in the
    cache. Raises HscError naming both places when the path is in neither, and where N is no number of faces.
    """
    if str(path).startswith(GENERATED):
        return _generated(str(path))
    given = Path(path)
    folder = data_dir()
    candidates = [given] if given.is_absolute() or folder is None else [given, folder / given]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    tried = " or ".join(str(candidate) for candidate in candidates)
    raise HscError(f"no faces at {tried}: set HSC_DATA to their folder, or use generated:600, faces that hsc generates")


def _generated(name: str) -> Path:
    """The file is called as the set is, so that results and cards name the set."""
    count = name.removeprefix(GENERATED)
    if not (count.isascii() and count.isdecimal() and int(count)):
        raise HscError(f"{name}: give the number of faces, such as generated:600")
    prior = find_weights(DEFAULT_PRIOR)

    def draw() -> Callable[[BinaryIO], None]:
        from hsc.data.sample import Recipe, drawing

        print(f"{name}: generating faces with {DEFAULT_PRIOR}; they are kept in {cache_dir()}", file=sys.stderr)
        return drawing(int(count), Recipe(), prior)

    return cached_file(f"generated/{sha256(prior)[:16]}/{name}", draw)
