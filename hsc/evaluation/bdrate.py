"""Bjøntegaard deltas: how many bits, or how much quality, one codec saves over another on average.

Bjøntegaard, VCEG-M33 (2001), with Akima interpolation (Herglotz et al. 2024, package bjontegaard), after what the
package asks of its input: points sorted by rate and only those that no cheaper point surpasses. Where two curves share
too little, an average over the shared part would say nothing about them, so it is refused, with the reason.
"""

import math
from dataclasses import dataclass

import numpy as np

from hsc.errors import HscError
from hsc.evaluation.quantities import quantity
from hsc.evaluation.results import Curve

MINIMUM_POINTS = 4  # as in VCEG-M33
MINIMUM_OVERLAP = 0.3  # shared range ÷ the shorter of the two ranges


@dataclass(frozen=True)
class Delta:
    """Test codec against reference. `value` is None where `refusal` says why.

    overlap: the shared range ÷ the shorter of the two, where there is a value.
    """

    value: float | None
    refusal: str = ""
    overlap: float | None = None


def bd_rate(reference: Curve, test: Curve, metric: str) -> Delta:
    """Mean difference of rate at equal quality in percent; −10 means that `test` needs 10 % fewer bits."""
    return _delta(reference, test, metric, over_quality=True)


def bd_metric(reference: Curve, test: Curve, metric: str) -> Delta:
    """Mean difference of the metric at equal rate, in the metric's own units and direction (MS-SSIM in dB)."""
    return _delta(reference, test, metric, over_quality=False)


def pareto_front(rates: np.ndarray, qualities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points with finite values that no point of lower or equal rate equals or surpasses, by rising rate.

    `qualities`: larger is better.
    """
    finite = np.isfinite(rates) & np.isfinite(qualities) & (rates > 0)
    rates, qualities = rates[finite], qualities[finite]
    order = np.lexsort((-qualities, rates))
    rates, qualities = rates[order], qualities[order]
    before = np.concatenate([[-np.inf], np.maximum.accumulate(qualities)[:-1]])
    return rates[qualities > before], qualities[qualities > before]


def on_front(metric: str, rates: np.ndarray, values: np.ndarray) -> np.ndarray:
    """bool [points]: which are on the Pareto front of the metric over the rate."""
    qualities = _as_quality(metric, values)
    front = set(zip(*map(np.ndarray.tolist, pareto_front(rates, qualities)), strict=True))
    return np.array([point in front for point in zip(rates.tolist(), qualities.tolist(), strict=True)], dtype=bool)


def _delta(reference: Curve, test: Curve, metric: str, over_quality: bool) -> Delta:
    if metric not in reference.values or metric not in test.values:
        return Delta(None, "not measured for both")
    fronts = [pareto_front(curve.bpp, _as_quality(metric, curve.values[metric])) for curve in (reference, test)]
    fewest = min(len(rates) for rates, _ in fronts)
    if fewest < MINIMUM_POINTS:
        said = "1 point improves" if fewest == 1 else f"{fewest} points improve"
        return Delta(None, f"only {said} with rate, {MINIMUM_POINTS} needed")
    axes = [qualities if over_quality else np.log10(rates) for rates, qualities in fronts]
    shared = min(axis.max() for axis in axes) - max(axis.min() for axis in axes)
    overlap = max(shared, 0) / min(np.ptp(axis) for axis in axes)
    if overlap < MINIMUM_OVERLAP:
        what = "quality" if over_quality else "rate"
        return Delta(None, f"curves share {overlap:.0%} of their {what} range, {MINIMUM_OVERLAP:.0%} needed")
    bjontegaard = _package()
    function = bjontegaard.bd_rate if over_quality else bjontegaard.bd_psnr
    settings = {"method": "akima", "require_matching_points": False, "min_overlap": 0}
    value = float(function(*fronts[0], *fronts[1], **settings))
    if not over_quality and _is_inverted(metric):
        value = -value
    return Delta(value, overlap=overlap) if math.isfinite(value) else Delta(None, "interpolation failed")


def _as_quality(metric: str, values: np.ndarray) -> np.ndarray:
    """On a scale where larger is better; MS-SSIM in decibels, whose upper end is not squeezed."""
    if metric.partition(".")[0] == "ms_ssim":
        return -10 * np.log10(np.maximum(1 - values, 1e-12))
    return -values if _is_inverted(metric) else values


def _is_inverted(metric: str) -> bool:
    known = quantity(metric)
    if known is None:
        raise HscError(f"whether more of {metric} is better is not known")
    return not known.higher_is_better


def _package():
    try:
        import bjontegaard
    except ModuleNotFoundError as error:
        raise HscError("BD-rate needs the package bjontegaard: pip install 'hsc[anchors]'") from error
    return bjontegaard
