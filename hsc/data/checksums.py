"""Checksums of pictures, remembered so that a data set is read for them once."""

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hsc.cache import write_to_cache
from hsc.files import cache_dir

UNREADABLE = "unreadable"


def checksum(size: int, crc: int) -> str:
    """Of a content of `size` bytes with this CRC-32: what zip archives keep of each member."""
    return f"{size}-{crc:08x}"


def checksums(root: Path, states: Mapping[str, str], read: Callable[[str], bytes]) -> dict[str, str]:
    """name → checksum of the content that `read(name)` gives.

    `states`: name → what changes whenever the content does, such as size and time of change. What was read is kept by
    root, name and state in `hsc.files.cache_dir()`, if that can be written to. What cannot be read is `UNREADABLE`, and
    is tried again the next time.
    """
    file = cache_dir() / "checksums" / f"{hashlib.sha256(_bytes(root.resolve())).hexdigest()}.json"
    known = _known(file)
    unread = [name for name, state in states.items() if name not in known or known[name][0] != state]
    found = {name: known[name][1] for name in states.keys() - set(unread)}

    def add(name: str) -> tuple[str, str]:
        try:
            content = read(name)
        except OSError:
            return name, UNREADABLE
        return name, checksum(len(content), zlib.crc32(content))

    if unread:
        with ThreadPoolExecutor() as pool:  # reading and summing release the interpreter's lock
            found |= dict(pool.map(add, unread))
        known |= {name: (states[name], found[name]) for name in unread if found[name] != UNREADABLE}
        write_to_cache(file, json.dumps(known).encode())
    return found


def _known(file: Path) -> dict[str, tuple[str, str]]:
    try:
        return {str(name): (str(state), str(found)) for name, (state, found) in json.loads(file.read_text()).items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _bytes(path: Path) -> bytes:
    return str(path).encode("utf-8", "surrogateescape")
