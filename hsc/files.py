"""Files written whole or not at all, content hashes, and where data and caches live."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from hsc.errors import HscError


def write_atomically(path: str | Path, content: bytes | Callable[[BinaryIO], None]) -> None:
    """Write `content` (bytes, or a function that writes to an open file) to `path` so that a reader, or a crash at
    any moment, finds either the old file or the complete new one.

    Raises HscError when the folder cannot be written to or the disk is full; nothing is left behind then.
    """
    path = Path(path)
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise HscError(
            f"cannot write {path}: {error.strerror or error}; choose a folder with space you can write to"
        ) from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_dir() -> Path:
    """Where fetched weights and computed statistics are kept: HSC_CACHE, else ~/.cache/hsc."""
    return Path(os.environ.get("HSC_CACHE") or Path.home() / ".cache" / "hsc")


def data_dir() -> Path | None:
    """Where face data sets are looked up: HSC_DATA, else ../shared/data when it exists, else None."""
    if configured := os.environ.get("HSC_DATA"):
        return Path(configured)
    neighbour = Path("../shared/data")
    return neighbour if neighbour.is_dir() else None


def _umask() -> int:
    # The only way to read the mask is to set it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
