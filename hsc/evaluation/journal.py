"""What an evaluation has finished, so that an interrupted one goes on where it stopped."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from hsc.errors import HscError

WHOLE = "all"  # the layer of codecs that have none


@dataclass(frozen=True)
class Row:
    """One image through one codec at one quality, decoded from one prefix of the file.

    target_bytes: the size the quality was searched for; None where the quality itself was asked for.
    """

    image: str
    codec: str
    layer: str
    quality: int
    bytes: int  # of the whole file
    slice_bytes: int | None  # of the coded picture alone, where the format tells
    bits_estimated: float | None  # the entropy model's own, where there is one
    encode_seconds: float
    decode_seconds: float
    metrics: dict[str, float]
    target_bytes: int | None = None

    @property
    def point(self) -> int:
        """What was asked of the codec: a size or a quality."""
        return self.quality if self.target_bytes is None else self.target_bytes


class Journal:
    """Rows in a file of JSON lines, appended a batch at a time.

    Every line carries a key that covers everything its numbers depend on (codec, images, judges), so lines of another
    model in the same folder are passed over, not mistaken. A line torn by a crash is dropped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._drop_torn_line()
            self._rows = dict(self._read())
        except OSError as error:
            raise HscError(f"cannot use {path}: {error.strerror}; choose a folder you can write to") from error

    def find(self, key: str, codec: str, point: int, images: Iterable[str], layers: Iterable[str]) -> list[Row] | None:
        """The rows of these images, layer by layer; None when one is missing."""
        rows = [self._rows.get((key, codec, layer, point, image)) for layer in layers for image in images]
        return None if None in rows else rows  # type: ignore[return-value]

    def append(self, key: str, rows: Iterable[Row]) -> None:
        """Keep rows, on the disk before this returns."""
        rows = list(rows)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write("".join(json.dumps({"key": key} | asdict(row)) + "\n" for row in rows))
            file.flush()
            os.fsync(file.fileno())
        self._rows |= {_place(key, row): row for row in rows}

    def _drop_torn_line(self) -> None:
        if not self.path.is_file():
            return
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self.path, whole)

    def _read(self) -> Iterator[tuple[tuple, Row]]:
        if not self.path.is_file():
            return
        for number, line in enumerate(self.path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                fields = json.loads(line)
                key = fields.pop("key")
                row = Row(**fields)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise HscError(f"{self.path} is damaged at line {number}: delete it to measure anew") from error
            yield _place(key, row), row


def _place(key: str, row: Row) -> tuple:
    return key, row.codec, row.layer, row.point, row.image
