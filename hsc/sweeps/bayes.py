"""Bayesian search: a Gaussian process over the trials so far, the next one where improvement is most expected."""

import logging
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hsc.sweeps.parameters import Parameter
from hsc.sweeps.search import Known
from hsc.sweeps.sweep_file import Sweep

if TYPE_CHECKING:
    import optuna

RANDOM_FIRST = 5  # trials before a Gaussian process says anything


def most_promising(sweep: Sweep, known: Sequence[Known], seed: int) -> list[Any]:
    """Values of the sweep's searched parameters.

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
    worst = max((one.best for one in known if one.best is not None), default=0.0)
    for one in known:
        loss = one.best if one.best is not None and one.trial.over else worst
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
