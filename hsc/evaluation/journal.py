"""What an evaluation has finished, so that an interrupted one resumes where it stopped."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from hsc.journal import Journal

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


class RowJournal:
    """The rows that an evaluation has measured.

    Each is kept with a key that covers everything its numbers depend on (codec, images, judges), so rows of another
    model in the same folder are passed over, not mistaken.
    """

    def __init__(self, path: Path) -> None:
        self._journal = Journal(path)
        self._rows = dict(_known(self._journal))

    def find(self, key: str, codec: str, point: int, images: Iterable[str], layers: Iterable[str]) -> list[Row] | None:
        """The rows of these images, layer by layer; None when one is missing."""
        rows = [self._rows.get((key, codec, layer, point, image)) for layer in layers for image in images]
        return None if None in rows else rows  # type: ignore[return-value]

    def add(self, key: str, rows: Iterable[Row]) -> None:
        rows = list(rows)
        self._journal.add({"key": key} | asdict(row) for row in rows)
        self._rows |= {_place(key, row): row for row in rows}


def _known(journal: Journal) -> Iterator[tuple[tuple, Row]]:
    for fields in journal:
        try:
            key, row = fields["key"], Row(**{name: value for name, value in fields.items() if name != "key"})
        except (KeyError, TypeError, AttributeError):
            continue  # damaged, or of another version: it is measured again
        yield _place(key, row), row


def _place(key: str, row: Row) -> tuple:
    return key, row.codec, row.layer, row.point, row.image
