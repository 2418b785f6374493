"""What to try next, as W&B's own search would: a function of the sweep file and the trials so far, nothing else.

So a sweep that is continued, here or elsewhere, behaves as if it had never been interrupted.
"""

import hashlib
import itertools
import json
import logging
import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hsc.sweeps.parameters import Parameter
from hsc.sweeps.results import Result
from hsc.sweeps.sweep_file import Hyperband, Sweep
from hsc.sweeps.trials import Trial

if TYPE_CHECKING:
    import optuna

RANDOM_FIRST = 5  # trials before a Gaussian process says anything


def propose(sweep: Sweep, known: Sequence[Result]) -> dict[str, Any] | None:
    """The next trial's values by parameter; None when a grid is used up."""
    if sweep.method == "grid":
        return _next_of_grid(sweep, known)
    shares = np.random.default_rng([_seed(sweep), len(known)]).random(len(sweep.searched))
    if sweep.method == "random":
        found = [p.quantile(float(share)) for p, share in zip(sweep.searched, shares, strict=True)]
    else:
        found = _most_promising(sweep, known, _seed(sweep) + len(known))
    values = dict(zip((p.name for p in sweep.searched), found, strict=True))
    return {p.name: values.get(p.name, p.settings.get("value")) for p in sweep.parameters}


def grid_size(sweep: Sweep) -> int | None:
    """How many trials a grid has; None for other methods, which have no end."""
    if sweep.method != "grid":
        return None
    return math.prod(len(parameter.choices or []) for parameter in sweep.parameters)


def to_stop(hyperband: Hyperband, known: Sequence[Result]) -> list[Trial]:
    """The running trials that have fallen behind, by W&B's rule: at the last band a trial has reached, its best loss so
    far (strict: its loss there) is above the best 1/eta of what all trials, running or over, had at that band.
    """
    histories = [one.losses for one in known if one.losses]
    stopped = []
    for one in known:
        reached = [band for band in hyperband.bands if band <= len(one.losses)]
        if one.trial.state != "running" or not reached:
            continue
        losses = sorted(history[reached[-1] - 1] for history in histories if len(history) >= reached[-1])
        own = one.losses[reached[-1] - 1] if hyperband.strict else min(one.losses)
        if own > losses[int(1 / hyperband.eta * len(losses))]:
            stopped.append(one.trial)
    return stopped


def _most_promising(sweep: Sweep, known: Sequence[Result], seed: int) -> list[Any]:
    """Values of the sweep's searched parameters: a Gaussian process over the trials so far finds where improvement is
    most expected.

    As in W&B's search every continuous parameter is modelled by its share of the distribution, 0 to 1, and a trial
    without a value counts as the worst. A trial that is still running counts as the worst too, so that the next one is
    somewhere else.
    """
    import optuna

    logging.getLogger("optuna").setLevel(logging.WARNING)
    spaces = {parameter.name: _space(parameter) for parameter in sweep.searched}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=RANDOM_FIRST, deterministic_objective=True)
    study = optuna.create_study(direction="minimize", sampler=sampler)
    worst = max((one.loss for one in known if one.loss is not None), default=0.0)
    for one in known:
        loss = one.loss if one.loss is not None and one.trial.over else worst
        places = {p.name: _place(p, one.trial.values[p.name]) for p in sweep.searched}
        study.add_trial(optuna.trial.create_trial(params=places, distributions=spaces, value=loss))
    suggested = study.ask(spaces).params
    return [_value(parameter, suggested[parameter.name]) for parameter in sweep.searched]


def _space(parameter: Parameter) -> "optuna.distributions.BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if (values := _unordered(parameter)) is not None:
        return CategoricalDistribution(range(len(values)))
    return FloatDistribution(0, 1)


def _place(parameter: Parameter, value: Any) -> int | float:
    """Where a value lies: its index, or its share of the distribution."""
    if (values := _unordered(parameter)) is not None:
        return values.index(value)
    low, high = 0.0, 1.0
    rising = parameter.quantile(1) > parameter.quantile(0)
    for _ in range(40):  # the quantiles are monotone, so halving finds the share
        middle = (low + high) / 2
        if (parameter.quantile(middle) < value) == rising:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _value(parameter: Parameter, place: int | float) -> Any:
    values = _unordered(parameter)
    return parameter.quantile(place) if values is None else values[int(place)]


def _unordered(parameter: Parameter) -> list[Any] | None:
    """The values of a parameter that is not a number on a scale."""
    return parameter.settings.get("values")


def _next_of_grid(sweep: Sweep, known: Sequence[Result]) -> dict[str, Any] | None:
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
