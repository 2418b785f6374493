"""What to try next, as W&B's own search would: a function of the sweep file and the trials so far, nothing else.

So a sweep that is continued, here or elsewhere, goes on as if it had never been interrupted.
"""

import hashlib
import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hsc.sweeps.sweep_file import Hyperband, Sweep
from hsc.sweeps.trials import Trial


@dataclass(frozen=True)
class Known:
    """A trial as the search sees it. history: its losses (less is better) so far."""

    trial: Trial
    history: list[float]

    @property
    def best(self) -> float | None:
        return min(self.history, default=None)


def propose(sweep: Sweep, known: Sequence[Known]) -> dict[str, Any] | None:
    """The next trial's values by parameter; None when a grid is used up."""
    if sweep.method == "grid":
        return _next_of_grid(sweep, known)
    shares = np.random.default_rng([_seed(sweep), len(known)]).random(len(sweep.searched))
    if sweep.method == "random":
        found = [p.quantile(float(share)) for p, share in zip(sweep.searched, shares, strict=True)]
    else:
        from hsc.sweeps.bayes import most_promising

        found = most_promising(sweep, known, _seed(sweep) + len(known))
    values = dict(zip((p.name for p in sweep.searched), found, strict=True))
    return {p.name: values.get(p.name, p.settings.get("value")) for p in sweep.parameters}


def grid_size(sweep: Sweep) -> int | None:
    """How many trials a grid has; None for other methods, which have no end."""
    if sweep.method != "grid":
        return None
    return math.prod(len(parameter.choices or []) for parameter in sweep.parameters)


def to_stop(hyperband: Hyperband, known: Sequence[Known]) -> list[Trial]:
    """The running trials that have fallen behind, by W&B's rule: at the last band a trial has reached, its best loss so
    far (strict: its loss there) is above the best 1/eta of what all trials, running or over, had at that band.
    """
    histories = [one.history for one in known if one.history]
    stopped = []
    for one in known:
        reached = [band for band in hyperband.bands if band <= len(one.history)]
        if one.trial.state != "running" or not reached:
            continue
        losses = sorted(history[reached[-1] - 1] for history in histories if len(history) >= reached[-1])
        own = one.history[reached[-1] - 1] if hyperband.strict else min(one.history)
        if own > losses[int(1 / hyperband.eta * len(losses))]:
            stopped.append(one.trial)
    return stopped


def _next_of_grid(sweep: Sweep, known: Sequence[Known]) -> dict[str, Any] | None:
    names = [parameter.name for parameter in sweep.parameters]
    tried = {_fingerprint(one.trial.values) for one in known}
    for point in itertools.product(*(parameter.choices or [] for parameter in sweep.parameters)):
        values = dict(zip(names, point, strict=True))
        if _fingerprint(values) not in tried:
            return values
    return None


def _fingerprint(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, default=str)


def _seed(sweep: Sweep) -> int:
    """The same file draws the same values: a sweep can be repeated."""
    decisive = json.dumps([sweep.content.get("parameters"), sweep.method], sort_keys=True, default=str)
    return int.from_bytes(hashlib.sha256(decisive.encode()).digest()[:4])
