"""Distortion terms of the objective: `load_losses` returns them by name, `unavailable_losses` those that cannot run."""

from collections.abc import Callable, Iterable

from hsc.errors import HscError
from hsc.judges.base import NotAvailable, import_class
from hsc.losses.distortion import IdentityLoss, L1Loss, L2Loss, LandmarkLoss, Loss, PerceptualLoss

__all__ = [
    "IdentityLoss",
    "L1Loss",
    "L2Loss",
    "LandmarkLoss",
    "Loss",
    "PerceptualLoss",
    "load_losses",
    "unavailable_losses",
]

_LOSSES: dict[str, Callable[[], Loss]] = {
    "l1": L1Loss,
    "l2": L2Loss,
    "lpips": lambda: PerceptualLoss("lpips", "lpips.alex"),
    # Small models are judged at 128 pixels, where LPIPS measures other frequencies than at their own size.
    "lpips_128": lambda: PerceptualLoss("lpips_128", "lpips.alex", 128),
    "lpips_vgg": lambda: PerceptualLoss("lpips_vgg", "lpips.vgg"),
    "dists": lambda: PerceptualLoss("dists", "dists"),
    "dists_lite0": lambda: PerceptualLoss("dists_lite0", "dists.lite0"),
    "landmarks": LandmarkLoss,
    "identity": IdentityLoss,
    "faceres": lambda: IdentityLoss("faceres"),
}


def load_losses(names: Iterable[str]) -> dict[str, Loss]:
    """The terms called `names`; a user's own is `package.module:Class`, constructed without arguments.

    Raises NotAvailable when a term's judge is missing, HscError when there is no such term.
    """
    return {name: _load(name) for name in names}


def unavailable_losses(names: Iterable[str]) -> dict[str, str]:
    """The terms that cannot run here → why, and what to do about it."""
    reasons = {}
    for name in names:
        try:
            _load(name)
        except NotAvailable as reason:
            reasons[name] = str(reason)
    return reasons


def _load(name: str) -> Loss:
    if name in _LOSSES:
        return _LOSSES[name]()
    if name.partition(":")[0] == "arcface":
        return IdentityLoss(name)
    if ":" in name:
        return import_class(name, "loss")()
    raise HscError(
        f"unknown loss {name!r}; there are {', '.join(_LOSSES)} and arcface, or name yours as package.module:Class"
    )
