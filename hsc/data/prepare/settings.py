"""Settings of `hsc data prepare`; together with the photographs they determine every byte of the result."""

from dataclasses import dataclass
from typing import Literal

from hsc.data.splits import SHARE
from hsc.errors import HscError

Faces = Literal["largest", "all"]
Format = Literal["jpg", "webp", "png"]


@dataclass(frozen=True)
class Settings:
    """Thresholds are in units that do not depend on `size`; `hsc.data.prepare.quality` defines each measure.

    size: side of the crops, pixels. faces: which faces of a photograph. format: of the crops.
    min_side: the crop's side in the photograph, pixels.
    min_sharpness: variance of the Laplacian. max_turn, max_nod: of the head. max_distance: maximum number of bits of
    the perceptual hash (of 255) in which near-duplicates differ; -1 keeps them.
    validation, test: shares of the identities ("10%"), or their number ("20"). per_shard: faces per shard.
    """

    size: int
    faces: Faces = "largest"
    format: Format = "jpg"
    min_side: float = 64.0
    min_sharpness: float = 30.0
    max_turn: float = 0.7
    max_nod: float = 0.4
    max_distance: int = 24
    validation: str = "10%"
    test: str = "10%"
    per_shard: int = 1000

    def __post_init__(self) -> None:
        for split, wanted in (("validation", self.validation), ("test", self.test)):
            share = SHARE.fullmatch(wanted)
            if not (wanted.isdecimal() or (share and float(share[1]) <= 100)):
                raise HscError(f"{split} {wanted!r}: give a share of the people, such as 10%, or a number of them")
