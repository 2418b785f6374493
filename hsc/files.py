"""Atomic writes, protection against overwriting, locks, hashes, and the locations of data and caches."""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import stat
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

from hsc.errors import HscError

STDIN, STDOUT = Path("/dev/stdin"), Path("/dev/stdout")
ZIP_COMMENT = b"made by hsc"
LONGEST_NAME = 255  # bytes, on all common file systems
Content = bytes | Callable[[BinaryIO], object]


def write_atomically(path: str | Path, content: Content) -> None:
    """Write `content` (bytes, or a function that writes to an open file) to `path` so that a reader, or a crash at
    any moment, finds either the old file or the complete new one.

    A link stays a link: the file it points to is written. A device, a pipe or the target of standard output is written
    to, once the content is complete, and never replaced. Raises HscError if the folder is not writable or the disk is
    full, in which case nothing is left behind.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if is_stream(path):
            _write_to_stream(path, content)
        else:
            _replace(Path(os.path.realpath(path)), content)
    except BrokenPipeError:
        raise  # the reader has closed the pipe
    except OSError as error:
        too_long = error.errno == errno.ENAMETOOLONG
        remedy = "give a shorter name" if too_long else "choose a folder with space you can write to"
        raise HscError(f"cannot write {path}: {error.strerror or error}; {remedy}") from error


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty if there is no such file, or if it has any other content."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def is_stream(path: str | Path) -> bool:
    """Whether `path` is a device, a pipe or the target of standard output instead of a file that can be replaced."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    return not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)) or _is_standard_output(status)


def refuse_overwriting(
    targets: Iterable[Path], inputs: Iterable[Path], own: Callable[[Path], bool], force: bool = False
) -> None:
    """Raise HscError, before anything is done, if writing `targets` would destroy files that must be kept.

    These are the `inputs`, under any name or link, and, without `force`, files for which `own`, "an earlier result of
    this command", is false. Empty files and streams are not protected.
    """
    read = {found for path in inputs if (found := _identity(path))}
    foreign = []
    for target in targets:
        if len(os.fsencode(target.name)) > LONGEST_NAME:
            raise HscError(f"{target}: too long a name for a file; give a shorter one")
        if target.is_dir():
            raise HscError(f"{target} is a folder: name a file to write")
        if is_stream(target):
            continue
        if _identity(target) in read:
            raise HscError(f"{target}: input and output are the same file; name another output")
        if not force and target.is_file() and target.stat().st_size and not own(target):
            foreign.append(target)
    if foreign:
        more = f" and {len(foreign) - 1} more outputs are" if len(foreign) > 1 else " is"
        raise HscError(
            f"{foreign[0]}{more} there already, written by something else than this command: "
            "name another output, or replace it with --force"
        )


def claim_folder(
    folder: Path, verb: str, names: Iterable[str], inputs: Iterable[Path] = (), force: bool = False
) -> None:
    """Create `folder` and mark it as containing results of `verb`.

    Raises HscError if it is a file, is or lies in one of the `inputs` or, without the mark and without `force`,
    contains any of `names` (globs), which the results would replace.
    """
    mark = folder / f".hsc-{verb}"
    for path in inputs:
        if path.is_dir() and folder.resolve().is_relative_to(path.resolve()):
            raise HscError(f"{folder}: the results would lie among the inputs in {path}; name a folder outside")
    if folder.exists() and not folder.is_dir():
        raise HscError(f"{folder} is a file: name a folder for the results")
    if not mark.exists():
        if not force and (there := next((found for name in names for found in folder.glob(name)), None)):
            raise HscError(
                f"{there} is there already, written by something else than hsc {verb}: "
                "name another folder, or replace it with --force"
            )
        write_atomically(mark, b"")


def try_lock(path: Path) -> int | None:
    """An open file that holds a lock until it is closed or its process ends, however it ends; None while another
    process holds it. On a file system without locks everyone gets it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            os.close(descriptor)
            return None
    return descriptor


def zip_made_here(path: Path) -> bool:
    """Whether the file is a zip, whatever its name, with the comment of those written by hsc (`ZIP_COMMENT`)."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.comment == ZIP_COMMENT
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def hidden_beside(path: Path, ending: str) -> Path:
    """`.NAME` + `ending` in the folder of `path`, for work in progress. Names that would be too long are hashed."""
    name = f".{path.name}{ending}"
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]}{ending}"
    return path.with_name(name)


def sha256(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_hash(value: Any) -> str:
    """Hexadecimal SHA-256 of a value's JSON, regardless of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def cache_dir() -> Path:
    """The folder of fetched weights and computed statistics: HSC_CACHE, else ~/.cache/hsc."""
    return Path(os.environ.get("HSC_CACHE") or Path.home() / ".cache" / "hsc")


def weights_dir() -> Path:
    """The folder where fetched weights are stored and users put their own."""
    return cache_dir() / "weights"


def data_dir() -> Path | None:
    """The folder of face data sets: HSC_DATA, else ../shared/data if it exists, else None."""
    if configured := os.environ.get("HSC_DATA"):
        return Path(configured)
    neighbour = Path("../shared/data")
    return neighbour if neighbour.is_dir() else None


def _replace(target: Path, content: Content) -> None:
    """Replace `target`, which is not a link, with a complete new file that has the permissions of the old one."""
    temporary: str | None = None
    try:
        # Not named after the target, whose name may be as long as the file system allows.
        descriptor, temporary = tempfile.mkstemp(prefix=".hsc-", dir=target.parent)
        with os.fdopen(descriptor, "wb") as file:
            _write(file, content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask())
        os.replace(temporary, target)
        temporary = None
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def _write_to_stream(path: Path, content: Content) -> None:
    with tempfile.TemporaryFile() as whole:  # the function that writes `content` may need to seek
        _write(whole, content)
        whole.seek(0)
        # A socket cannot be opened by name, and a regular file would lose what was printed before.
        descriptor = os.dup(1) if _is_standard_output(os.stat(path)) else os.open(path, os.O_WRONLY)
        with os.fdopen(descriptor, "wb") as stream:
            sys.stdout.flush()
            shutil.copyfileobj(whole, stream)


def _write(file: BinaryIO, content: Content) -> None:
    if callable(content):
        content(file)
    else:
        file.write(content)


def _is_standard_output(status: os.stat_result) -> bool:
    try:
        return os.path.samestat(status, os.fstat(1))
    except OSError:  # closed
        return False


def _identity(path: Path) -> tuple[int, int] | None:
    """A value that is equal for all names and links of a regular file; None if there is no such file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


def _umask() -> int:
    # The umask can only be read by setting it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
