"""Held-out faces and their judges, for benchmarks of parts of a codec."""

import torch
from torch import Tensor

from hsc.data.module import FaceDataModule
from hsc.images import resize
from hsc.judges import load_judge
from hsc.metrics.identity import gallery_ranks
from hsc.metrics.measures import landmark_nme

COLUMNS = "LPIPS-VGG | rank-1 | dlib distance | NME | PSNR"
AT_ONCE = 20


def header(*first: str) -> str:
    """A table's header: a benchmark's own columns, then COLUMNS."""
    names = " | ".join((*first, COLUMNS))
    return f"| {names} |\n" + "| --- " * (names.count("|") + 1) + "|"


class JudgedFaces:
    """The first faces of a data set's validation split, with all of it as the gallery."""

    def __init__(self, data: FaceDataModule, faces: int) -> None:
        gallery = data.dataset("validation")
        everybody: Tensor = gallery[list(range(len(gallery)))]["image"]
        self.originals = everybody[:faces]
        names = {"vgg": "lpips.vgg", "known": "dlib", "landmarks": "dlib68", "psnr": "psnr"}
        self._judges = {use: load_judge(name) for use, name in names.items()}
        self._gallery = torch.cat([self._judges["known"](part) for part in everybody.split(AT_ONCE)])
        self._landmarks = self._judges["landmarks"](self.originals)

    def row(self, decoded: Tensor) -> str:
        """The values of COLUMNS for decoded faces, which may be smaller than their originals."""
        shown = resize(decoded, self.originals.shape[-1]).clamp(-1, 1)
        pairs = zip(self.originals.split(AT_ONCE), shown.split(AT_ONCE), strict=True)
        vgg = torch.cat([self._judges["vgg"](original, part) for original, part in pairs]).mean()
        known, own = self._judges["known"](shown), torch.arange(len(shown))
        rank1 = (gallery_ranks(known, own, self._gallery) == 1).float().mean()
        distance = (known - self._gallery[: len(shown)]).norm(dim=1).mean()
        corners = self._judges["landmarks"].outer_eye_corners
        nme = landmark_nme(self._landmarks, self._judges["landmarks"](shown), corners).nanmean()
        psnr = self._judges["psnr"](self.originals, shown).mean()
        return f"{vgg:.3f} | {100 * rank1:.0f} % | {distance:.3f} | {100 * nme:.2f} % | {psnr:.2f} dB"
