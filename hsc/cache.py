"""The cache: files that can be recomputed, stored in `hsc.files.cache_dir()` for reuse.

A cache that is not writable costs time, but nothing fails: one line on standard error names HSC_CACHE, and work
continues.
"""

import functools
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from hsc.errors import HscError
from hsc.files import Content, cache_dir, write_atomically


def write_to_cache(path: Path, content: Content) -> bool:
    """`hsc.files.write_atomically` to a path in the cache; False, after one line per process, if that is not
    writable."""
    try:
        write_atomically(path, content)
    except HscError as error:
        _warn_of(cache_dir(), str(error).partition(";")[0])
        return False
    return True


def cached_file(name: str, make: Callable[[], Content]) -> Path:
    """The file called `name` in the cache. `make` returns its content if it does not exist yet.

    If the cache is not writable, it is a temporary file that lasts as long as the process.
    """
    kept, temporary = cache_dir() / name, Path(_temporary_folder().name) / name
    for path in (kept, temporary):
        if os.path.isfile(path):  # not Path.is_file, which raises if a folder may not be entered
            return path
    content = make()
    if write_to_cache(kept, content):
        return kept
    write_atomically(temporary, content)
    return temporary


@functools.cache
def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="hsc-cache-")


_warned_of: set[Path] = set()


def _warn_of(folder: Path, reason: str) -> None:
    if folder not in _warned_of:
        _warned_of.add(folder)
        print(f"{reason}; continuing without the cache: set HSC_CACHE to a folder you can write to", file=sys.stderr)
