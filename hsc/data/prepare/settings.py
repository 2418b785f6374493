"""What is asked of `hsc data prepare`; together with the photographs it decides every byte of the result."""

import re
from dataclasses import dataclass

from hsc.errors import HscError

FORMATS = {"jpg": "JPEG", "webp": "WEBP", "png": "PNG"}
FACES = ("largest", "all")
SHARE = re.compile(r"(\d+(?:\.\d+)?)%")


@dataclass(frozen=True)
class Settings:
    """Thresholds are in units that do not depend on `size`; `hsc.data.prepare.quality` says how each is measured.

    size: side of the crops, pixels. faces: "largest" of a photograph, or "all". format: of the crops.
    min_side: the crop's side in the photograph, pixels.
    min_sharpness: variance of the Laplacian. max_turn, max_nod: of the head. max_distance: bits of the perceptual hash
    (of 255) in which near-duplicates differ at most; -1 keeps them.
    validation, test: shares of the identities ("10%"), or how many ("20"). per_shard: faces in a shard.
    """

    size: int
    faces: str = "largest"
    format: str = "jpg"
    min_side: float = 64.0
    min_sharpness: float = 30.0
    max_turn: float = 0.7
    max_nod: float = 0.4
    max_distance: int = 24
    validation: str = "10%"
    test: str = "10%"
    per_shard: int = 1000

    def __post_init__(self) -> None:
        if not 8 <= self.size <= 4096:
            raise HscError(f"crops of {self.size} pixels are impossible: give a size from 8 to 4096")
        if self.faces not in FACES:
            raise HscError(f"faces {self.faces!r} is none of {', '.join(FACES)}")
        if self.format not in FORMATS:
            raise HscError(f"format {self.format!r} is none of {', '.join(FORMATS)}")
        for split, wanted in (("validation", self.validation), ("test", self.test)):
            share = SHARE.fullmatch(wanted)
            if not (wanted.isdecimal() or (share and float(share[1]) <= 100)):
                raise HscError(f"{split} {wanted!r}: give a share of the people, such as 10%, or a number of them")
        if self.per_shard < 1:
            raise HscError("per_shard: a shard holds at least one face")
