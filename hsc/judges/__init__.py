"""Judges: frozen networks that look at faces. `load_judge(name)` gives one, docs/judges.md tells about them."""

from functools import cache
from importlib import import_module

import torch

from hsc.errors import HscError
from hsc.judges.base import Judge, NotAvailable, import_class

__all__ = ["Judge", "NotAvailable", "judge_names", "load_judge"]

# Name → module in this package, class, arguments.
_JUDGES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "lpips.alex": ("lpips", "LPIPS", ("alex",)),
    "lpips.vgg": ("lpips", "LPIPS", ("vgg",)),
    "facemesh": ("facemesh", "FaceMesh", ()),
}


def judge_names() -> tuple[str, ...]:
    """The judges that come with hsc, whether or not their weights are here."""
    return tuple(_JUDGES)


def load_judge(name: str, device: str | torch.device = "cpu") -> Judge:
    """The judge called `name`, or a user's own as `package.module:Class` (made without arguments), on `device`.

    The same object every time, so do not move it: ask for it on another device.
    Raises NotAvailable when weights or packages are missing, HscError when there is no such judge.
    """
    return _load(name, str(torch.device(device)))


@cache
def _load(name: str, device: str) -> Judge:
    if name in _JUDGES:
        module, class_name, arguments = _JUDGES[name]
        judge = getattr(import_module(f"hsc.judges.{module}"), class_name)(*arguments)
    elif ":" in name:
        judge = import_class(name, "judge")()
    else:
        raise HscError(
            f"no judge is called {name!r}; there are {', '.join(_JUDGES)}, or name yours as package.module:Class"
        )
    return judge.to(device)
