"""Choice of the next trial, like W&B's own search: a function of only the sweep file and the trials so far.

So a sweep that is resumed, here or elsewhere, behaves as if it had never been interrupted.
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

RANDOM_FIRST = 5  # trials before a Gaussian process is informative


def propose(sweep: Sweep, known: Sequence[Result]) -> dict[str, Any] | None:
    """The next trial's values by parameter; None if a grid is exhausted."""
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
    """The number of trials in a grid; None for other methods, which are unlimited."""
    if sweep.method != "grid":
        return None
    return math.prod(len(parameter.choices or []) for parameter in sweep.parameters)


def to_stop(hyperband: Hyperband, known: Sequence[Result]) -> list[Trial]:
    """The running trials that have fallen behind, by W&B's rule: at the last band a trial has reached, its best loss so
    far (strict: its loss there) is above the best 1/eta of the losses of all trials, running or over, at that band.
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
    """Values of the sweep's searched parameters with the highest expected improvement under a Gaussian process over the
    trials so far.

    As in W&B's search, every continuous parameter is represented by its quantile, 0 to 1, and a trial without a value
    counts as the worst. A trial that is still running also counts as the worst, so that the next one is elsewhere.
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
    """Position of a value: its index, or its quantile."""
    if (values := _unordered(parameter)) is not None:
        return values.index(value)
    low, high = 0.0, 1.0
    rising = parameter.quantile(1) > parameter.quantile(0)
    for _ in range(40):  # quantiles are monotone, so bisection finds the share
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
    """The values of a parameter that is categorical."""
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
    """A seed from the file: the same file gives the same values, so a sweep is reproducible."""
    decisive = json.dumps([sweep.content.get("parameters"), sweep.method], sort_keys=True, default=str)
    return int.from_bytes(hashlib.sha256(decisive.encode()).digest()[:4])
