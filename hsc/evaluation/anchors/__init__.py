"""Codecs that hsc is compared with. `load_anchor("vvc")` gives one; see docs/evaluation.md."""

from hsc.errors import HscError
from hsc.evaluation.anchors.base import Anchor, AnchorNotAvailable, AnchorResult
from hsc.evaluation.anchors.compressai import Hyperprior, MeanScaleHyperprior
from hsc.evaluation.anchors.ffmpeg import AV1, HEVC, VVC
from hsc.evaluation.anchors.pillow import AVIF, HEIC, JPEG, JPEG2000, JPEGXL, WebP
from hsc.judges.base import import_class

__all__ = ["ANCHORS", "Anchor", "AnchorNotAvailable", "AnchorResult", "load_anchor"]

ANCHORS: dict[str, type[Anchor]] = {
    anchor.name: anchor
    for anchor in (VVC, HEVC, AV1, JPEGXL, WebP, JPEG, AVIF, HEIC, JPEG2000, Hyperprior, MeanScaleHyperprior)
}


def load_anchor(name: str) -> Anchor:
    """The anchor of that name, or of a class given as `package.module:Class`.

    Raises AnchorNotAvailable if the machine lacks the codec, HscError for an unknown name.
    """
    anchor = _find(name)()
    anchor.version()
    return anchor


def _find(name: str) -> type[Anchor]:
    if name in ANCHORS:
        return ANCHORS[name]
    if ":" not in name:
        raise HscError(f"unknown anchor '{name}': choose from {', '.join(ANCHORS)}, or give package.module:Class")
    found = import_class(name, "anchor")
    if not (isinstance(found, type) and issubclass(found, Anchor)):
        raise HscError(f"{name} is not an anchor: make it a subclass of hsc.evaluation.anchors.Anchor")
    return found
