"""What has been done so far, on the disk: a journal of photographs, and the crops of their faces in one file."""

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from hsc.data.prepare.aligner import Aligned
from hsc.errors import HscError

KEY, JOURNAL, CROPS = "key", "journal.jsonl", "crops"


class WorkJournal:
    """A folder that a killed run leaves and the next one goes on from.

    A photograph counts when its line in the journal is whole and the crops it speaks of are; whatever follows the last
    such line is cut off. Line i is photograph i, whoever worked on it. `key` covers all that decides the lines: with
    another key everything begins anew. A photograph that the file system refused is asked for again (`gives`, by its
    name): work goes on from the first that it now gives. Raises HscError while another process has the folder.
    """

    def __init__(self, folder: Path, key: str, gives: Callable[[str], bool]) -> None:
        self.folder = folder
        self._gives = gives
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(folder)
        if not (folder / KEY).is_file() or (folder / KEY).read_text() != key:
            for name in (KEY, JOURNAL, CROPS):
                (folder / name).unlink(missing_ok=True)
            (folder / KEY).write_text(key)
        self._crops = open(folder / CROPS, "a+b")  # noqa: SIM115  closed by close()
        self._journal = open(folder / JOURNAL, "a+b")  # noqa: SIM115
        self.done = self._keep_what_is_whole()
        """photographs that need no more work"""

    def append(self, aligned: Aligned) -> None:
        """One more photograph, in the source's order."""
        places = []
        for crop in aligned.crops:
            places.append([self._crops.tell(), len(crop)])
            self._crops.write(crop)
        self._crops.flush()  # before the line that speaks of it
        line = aligned.record | {"crops": places, "end": self._crops.tell()}
        self._journal.write(json.dumps(line, ensure_ascii=True).encode() + b"\n")
        self._journal.flush()
        self.done += 1

    def records(self) -> Iterator[dict[str, Any]]:
        """Every photograph's record; `crops` says where those of its faces are."""
        with open(self.folder / JOURNAL, "rb") as journal:
            for line in journal:
                yield json.loads(line)

    def crop(self, place: tuple[int, int]) -> bytes:
        start, length = place
        return os.pread(self._crops.fileno(), length, start)

    def remove(self) -> None:
        """After the result is in its place."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        for file in (self._crops, self._journal):
            file.close()
        os.close(self._lock)

    def __enter__(self) -> "WorkJournal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _keep_what_is_whole(self) -> int:
        count = whole = crops = 0
        held = os.fstat(self._crops.fileno()).st_size
        self._journal.seek(0)
        for line in self._journal:
            try:
                record = json.loads(line) if line.endswith(b"\n") else {}
                end, refused = record["end"], record.get("refused", False)
            except (ValueError, KeyError, TypeError, AttributeError):
                break
            if not isinstance(end, int) or end > held or (refused and self._gives(record["source"])):
                break
            count, whole, crops = count + 1, whole + len(line), end
        self._journal.truncate(whole)
        self._crops.truncate(crops)
        self._journal.seek(0, os.SEEK_END)
        self._crops.seek(0, os.SEEK_END)
        return count


def _lock(folder: Path) -> int:
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise HscError(f"another process works in {folder}: wait for it, or write to another file") from error
    return lock
