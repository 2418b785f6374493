"""Importance of each hyperparameter for a sweep's metric: one at a time, without a fitted model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hsc.sweeps.results import Result
from hsc.sweeps.sweep_file import Sweep

GROUPS = 4  # for continuous parameters: quarters of the trials


@dataclass(frozen=True)
class Importance:
    """explained: share of the metric's variance between groups of trials with (about) the same value, corrected for
    chance (ε²); None if there are too few trials. correlation: Spearman's, between the parameter and the loss, so
    negative if larger values are better; None for values without an order.
    """

    parameter: str
    explained: float | None
    correlation: float | None


def importances(sweep: Sweep, results: Sequence[Result]) -> list[Importance]:
    """The importance of every searched parameter, the most important first."""
    measured = [one for one in results if one.loss is not None]
    losses = np.array([one.loss for one in measured], dtype=np.float64)
    found = []
    for parameter in sweep.searched:
        values = [one.trial.values.get(parameter.name) for one in measured]
        found.append(Importance(parameter.name, explained(values, losses), correlation(values, losses)))
    return sorted(found, key=lambda one: -(one.explained if one.explained is not None else -1))


def explained(values: Sequence[Any], losses: np.ndarray) -> float | None:
    """ε² of a one-way analysis of variance, in [0, 1]."""
    groups = _groups(values)
    kinds, count = np.unique(groups), len(losses)
    total = float(((losses - losses.mean()) ** 2).sum()) if count else 0.0
    if len(kinds) < 2 or count <= len(kinds) or total == 0:
        return None
    within = sum(float(((losses[groups == kind] - losses[groups == kind].mean()) ** 2).sum()) for kind in kinds)
    chance = (len(kinds) - 1) * within / (count - len(kinds))
    return float(min(max((total - within - chance) / total, 0.0), 1.0))


def correlation(values: Sequence[Any], losses: np.ndarray) -> float | None:
    """Spearman's rank correlation; None if either is constant, or the values are not numbers."""
    if not _numeric(values) or len(set(values)) < 2 or len(np.unique(losses)) < 2:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(values, losses).statistic)


def _groups(values: Sequence[Any]) -> np.ndarray:
    texts = [str(value) for value in values]
    if not _numeric(values) or len(set(texts)) <= GROUPS:
        return np.unique(texts, return_inverse=True)[1]
    from scipy.stats import rankdata

    return ((rankdata(values) - 1) * GROUPS // len(values)).astype(int)


def _numeric(values: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
