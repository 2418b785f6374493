"""Judges: frozen networks that look at faces. `load_judge(name)` gives one, docs/judges.md tells about them."""

from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib import import_module

import torch

from hsc.errors import HscError
from hsc.judges.base import Judge, NotAvailable, import_class

__all__ = ["Judge", "NotAvailable", "families_of", "judge_names", "load_judge"]

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
    """The judges that come with hsc, whether or not their weights are here."""
    return tuple(_JUDGES)


def load_judge(name: str, device: str | torch.device = "cpu") -> Judge:
    """The judge called `name`, or a user's own as `package.module:Class` (made without arguments), on `device`.

    `insightface`, `insightface106` and `arcface` take a pack's name or a folder after a colon (default buffalo_l).
    The same object every time, so do not move it: ask for it on another device.
    Raises NotAvailable when weights or packages are missing, HscError when there is no such judge.
    """
    return _load(name, str(torch.device(device)))


def families_of(names: Iterable[str]) -> set[str]:
    """The backbones of the judges of these names, as far as they are here."""
    families = set()
    for name in names:
        with suppress(HscError):
            families.add(load_judge(name).family)
    return families


@cache
def _load(name: str, device: str) -> Judge:
    base, _, argument = name.partition(":")
    if name in _JUDGES or base in _TAKES_PACK:
        module, class_name, arguments = _JUDGES[base]
        judge = getattr(import_module(f"hsc.judges.{module}"), class_name)(*([argument] if argument else arguments))
    elif argument:
        judge = import_class(name, "judge")()
    else:
        raise HscError(
            f"no judge is called {name!r}; there are {', '.join(_JUDGES)}, or name yours as package.module:Class"
        )
    return judge.to(device)
