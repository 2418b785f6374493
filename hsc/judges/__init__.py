"""Judges: frozen networks applied to faces. `load_judge(name)` returns one; docs/judges.md describes them."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import nn

from hsc.errors import HscError
from hsc.judges.base import Judge, Kind, NotAvailable, import_class

__all__ = ["Judge", "NotAvailable", "families_in", "families_of", "judge_kind", "judge_names", "load_judge"]

# Name → module in this package, class, arguments.
_JUDGES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "psnr": ("pixels", "PSNR", ()),
    "ms_ssim": ("pixels", "MultiScaleSSIM", ()),
    "lpips.alex": ("lpips", "LPIPS", ("alex",)),
    "lpips.vgg": ("lpips", "LPIPS", ("vgg",)),
    "dists": ("dists", "DISTS", ()),
    "dists.lite0": ("dists", "Lite0DISTS", ()),
    "facemesh": ("facemesh", "FaceMesh", ()),
    "identity_student": ("identity_student", "IdentityStudent", ()),
    "faceres": ("faceres", "FaceRes", ()),
    "dlib": ("dlib", "DlibRecogniser", ()),
    "dlib68": ("dlib", "DlibLandmarks", ()),
    "insightface": ("insightface", "InsightFaceRecogniser", ("buffalo_l",)),
    "insightface106": ("insightface", "InsightFaceLandmarks", ("buffalo_l",)),
    "arcface": ("arcface", "ArcFace", ("buffalo_l",)),
    "vgg16": ("features", "VGG16Features", ()),
    "inception": ("features", "InceptionFeatures", ()),
}
_TAKES_PACK = ("insightface", "insightface106", "arcface")


def judge_names() -> tuple[str, ...]:
    """The judges that come with hsc, whether or not their weights are present."""
    return tuple(_JUDGES)


def load_judge(name: str, device: str | torch.device = "cpu") -> Judge:
    """The judge called `name`, or a user's own as `package.module:Class` (constructed without arguments), on `device`.

    `insightface`, `insightface106` and `arcface` take a pack's name or a folder after a colon (default buffalo_l).
    Always returns the same object, so do not move it: load it on another device instead.
    Raises NotAvailable if weights or packages are missing, HscError if there is no such judge.
    """
    return _load(name, str(torch.device(device)))


def judge_kind(name: str) -> Kind:
    """The kind of the judge `load_judge(name)`, even if its weights are missing. Raises HscError if there is no such
    judge."""
    if not _comes_with_hsc(name):
        return load_judge(name).kind
    module, class_name, _ = _JUDGES[name.partition(":")[0]]
    return getattr(import_module(f"hsc.judges.{module}"), class_name).kind


def families_of(names: Iterable[str]) -> set[str]:
    """The backbones of those of these judges that come with hsc and are available.

    Other judges are not imported: names may come from a file, which must not decide what code is run.
    """
    families = set()
    for name in names:
        if _comes_with_hsc(name):
            with suppress(HscError):
                families.add(load_judge(name).family)
    return families


def families_in(card: Mapping[str, Any]) -> set[str]:
    """The backbones of the judges that trained a codec, according to its card."""
    return families_of(card.get("judges", ())) | set(card.get("judge_families", ()))


def _comes_with_hsc(name: str) -> bool:
    return name in _JUDGES or name.partition(":")[0] in _TAKES_PACK


def _own_judge(name: str) -> Judge:
    try:
        judge = import_class(name, "judge")()
    except TypeError as error:
        raise HscError(f"cannot make the judge {name} without arguments ({error})") from error
    missing = [attribute for attribute in ("name", "family", "kind") if not hasattr(judge, attribute)]
    if missing or not isinstance(judge, nn.Module):
        wanted = f"lacks {' and '.join(missing)}" if missing else "is not a hsc.judges.Judge"
        raise HscError(f"judge {name}: its class {wanted}; docs/extending.md shows a complete one")
    return judge  # type: ignore[return-value]


@cache
def _load(name: str, device: str) -> Judge:
    base, _, argument = name.partition(":")
    if _comes_with_hsc(name):
        module, class_name, arguments = _JUDGES[base]
        judge = getattr(import_module(f"hsc.judges.{module}"), class_name)(*([argument] if argument else arguments))
    elif argument:
        judge = _own_judge(name)
    else:
        raise HscError(f"unknown judge {name!r}; there are {', '.join(_JUDGES)}, or name yours as package.module:Class")
    return judge.to(device)
