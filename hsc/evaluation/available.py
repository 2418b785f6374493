"""Judges and anchors that this machine has; what it lacks is reported and left out."""

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from hsc.errors import HscError

T = TypeVar("T")


def available(load: Callable[[str], T], names: Sequence[str], missing: type[HscError]) -> list[T]:
    """What can be loaded; the others' messages go to standard error."""
    loaded = []
    for name in names:
        try:
            loaded.append(load(name))
        except missing as error:
            leave_out(name, str(error))
    return loaded


def leave_out(name: str, reason: str) -> None:
    """Say on standard error that something is not measured, and why."""
    print(f"leaving out {name}: {reason}", file=sys.stderr)
