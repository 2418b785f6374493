"""Which files of a folder or an archive are pictures, and messages about those that are not."""

import functools
import os
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from hsc.errors import HscError
from hsc.progress import number_of

HEIC_SUFFIXES = frozenset({".heic", ".heif"})
IMAGE_SUFFIXES = HEIC_SUFFIXES | {
    ".avif", ".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp",
}  # fmt: skip
_SHOWN = 3


def _heic_is_read() -> bool:
    from hsc.images import read_heic  # imports torch, which would slow down `hsc --help`

    return read_heic()


def pictures_among(names: Iterable[str], holder: Path) -> list[str]:
    """The names of pictures, sorted. One line on standard error reports other files in `holder`, another one HEIC
    photographs that need pillow-heif; hidden files and `__MACOSX` are ignored.

    Raises HscError if there is no picture.
    """
    visible = sorted(name for name in names if not is_hidden(name))
    pictures = [name for name in visible if _suffix(name) in IMAGE_SUFFIXES]
    strangers = [name for name in visible if _suffix(name) not in IMAGE_SUFFIXES]
    heic = [name for name in pictures if _suffix(name) in HEIC_SUFFIXES]
    if heic and not _heic_is_read():
        pictures = [name for name in pictures if _suffix(name) not in HEIC_SUFFIXES]
        say_once(f"{holder}: {number_of(len(heic), 'HEIC photograph')} skipped: pip install pillow-heif")
    if not pictures:
        raise HscError(f"{holder}: holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    if strangers:
        shown = ", ".join(strangers[:_SHOWN]) + (", …" if len(strangers) > _SHOWN else "")
        what = "files that are not images" if len(strangers) > 1 else "file that is not an image"
        say_once(f"{holder}: {len(strangers)} {what} skipped: {shown}")
    return pictures


def is_hidden(name: str) -> bool:
    """Whether the file is hidden, or was added by an archiver or operating system."""
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(name).parts)


def files_below(root: Path) -> dict[str, Path]:
    """The files of a folder and its subfolders: posix name → path, both relative to `root`, in order.

    Linked folders are followed, except links to a folder that contains them; hidden folders are not entered. Dangling
    links count as files that cannot be read; devices, pipes and sockets are ignored. A name is its path, with
    replacement characters for bytes that are not UTF-8 (and a number if that makes two names equal), so that it can be
    printed and stored.
    """
    found: list[str] = []
    waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    while waiting:
        inside, above = waiting.pop()
        try:
            status = os.stat(root / inside)
            entries = list(os.scandir(root / inside))
        except OSError as error:
            say_once(f"{root / inside}: cannot be listed ({error.strerror}), skipped")
            continue
        here = (status.st_dev, status.st_ino)
        if here in above:
            continue
        for entry in entries:
            path = os.path.join(inside, entry.name)
            there = Path(entry) if entry.is_symlink() else entry  # which raises an error for circular links
            if there.is_dir():
                if not entry.name.startswith("."):
                    waiting.append((path, above | {here}))
            elif there.is_file() or not os.path.exists(entry):
                found.append(path)
    names: dict[str, Path] = {}
    for path in sorted(found, key=lambda path: (readable(path) != path, path)):
        name, number = readable(path), 1
        while name in names:
            number += 1
            name = str(PurePosixPath(readable(path)).with_stem(f"{PurePosixPath(readable(path)).stem}-{number}"))
        names[name] = Path(path)
    return dict(sorted(names.items()))


def readable(name: str) -> str:
    """A file's name for display: bytes that are not UTF-8 become replacement characters."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@functools.cache
def say_once(line: str) -> None:
    """Print a line on standard error, only once per process."""
    print(" ".join(readable(line).split()), file=sys.stderr)


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
