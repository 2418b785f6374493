"""Finished work on disk: a journal of photographs, and the crops of their faces in one file."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hsc.data.prepare.aligner import Aligned
from hsc.errors import HscError
from hsc.files import try_lock
from hsc.journal import Journal

LOCK, JOURNAL, CROPS = "lock", "journal.jsonl", "crops"


class WorkJournal:
    """A folder that a killed run leaves behind and the next one resumes from.

    A photograph counts as done if its line in the journal and the crops it refers to are complete; anything after the
    last such line is cut off. Line i is photograph i, whichever worker processed it. `key` covers everything that
    determines the lines: with another key everything starts over. A photograph that the file system refused to read is
    tried again (`gives`, by its name): work resumes from the first that can now be read. Raises HscError while another
    process uses the folder.
    """

    def __init__(self, folder: Path, key: str, gives: Callable[[str], bool]) -> None:
        self.folder = folder
        self._gives = gives
        lock = try_lock(folder / LOCK)
        if lock is None:
            raise HscError(f"another process is using {folder}: wait for it, or write to another file")
        self._lock = lock
        self._journal = Journal(folder / JOURNAL, key)
        self._crops = open(folder / CROPS, "a+b")  # noqa: SIM115  closed by close()
        self.done = self._keep_what_is_whole()
        """photographs that need no more work"""

    def append(self, aligned: Aligned) -> None:
        """One more photograph, in the source's order."""
        places = []
        for crop in aligned.crops:
            places.append([self._crops.tell(), len(crop)])
            self._crops.write(crop)
        self._crops.flush()  # before the line that refers to it
        self._journal.add([aligned.record | {"crops": places, "end": self._crops.tell()}])
        self.done += 1

    def records(self) -> Iterator[dict[str, Any]]:
        """Every photograph's record; `crops` are the positions of its faces' crops."""
        return iter(self._journal)

    def crop(self, place: tuple[int, int]) -> bytes:
        start, length = place
        return os.pread(self._crops.fileno(), length, start)

    def remove(self) -> None:
        """Delete the folder, once the result is in place."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        self._crops.close()
        self._journal.close()
        os.close(self._lock)

    def __enter__(self) -> "WorkJournal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _keep_what_is_whole(self) -> int:
        count = crops = 0
        held = os.fstat(self._crops.fileno()).st_size
        for record in self._journal:
            try:
                end, refused = record["end"], record.get("refused", False)
            except (KeyError, TypeError, AttributeError):
                break
            if not isinstance(end, int) or end > held or (refused and self._gives(record["source"])):
                break
            count, crops = count + 1, end
        self._journal.keep(count)
        self._crops.truncate(crops)
        self._crops.seek(0, os.SEEK_END)
        return count
