"""Bjøntegaard deltas: how many bits, or how much quality, one codec saves over another on average.

Bjøntegaard, VCEG-M33 (2001), with monotone cubic interpolation (PCHIP): it never overshoots its points, whereas
polynomials and Akima's interpolant overshoot badly where points are close together. The average is taken over the range
that two curves share; if they share too little, it would be meaningless, so it is refused with a reason.

Intervals are bootstrapped over images: both curves are means over the same resampled images, and everything is
recomputed from them. SciPy's `PchipInterpolator` handles several curves only if they share their abscissae, which
resamples do not; called once per curve it takes 190 times as long as `pchip_integral`, which a test compares with it
(200 curves of 4 points, 2026-11-27, a shared 2-core AMD EPYC).
"""

from dataclasses import dataclass

import numpy as np

from hsc.evaluation.bootstrap import interval_of
from hsc.evaluation.results import COUNTS, Curve
from hsc.metrics.info import MetricInfo

MINIMUM_POINTS = 4  # as in VCEG-M33
MINIMUM_OVERLAP = 0.3  # shared range ÷ the shorter of the two ranges
NEAR = 0.01  # points closer than this share of their curve's range count as one
MINIMUM_RESAMPLES = 0.95  # share of the resamples that must have a value for an interval to be given


@dataclass(frozen=True)
class Delta:
    """Test codec compared with reference. If `value` is None, `refusal` gives the reason.

    overlap: the shared range ÷ the shorter of the two, if there is a value. low, high: the confidence interval, None
    if per-image values are not available or too many resamples have no value.
    """

    value: float | None
    refusal: str = ""
    overlap: float | None = None
    low: float | None = None
    high: float | None = None


def bd_rate(reference: Curve, test: Curve, metric: str) -> Delta:
    """Mean difference of rate at equal quality in percent; −10 means that `test` needs 10 % fewer bits."""
    return _delta(reference, test, metric, over_quality=True)


def bd_metric(reference: Curve, test: Curve, metric: str) -> Delta:
    """Mean difference of the metric at equal rate, in the metric's own units and direction (MS-SSIM in dB)."""
    return _delta(reference, test, metric, over_quality=False)


def pareto_front(rates: np.ndarray, qualities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The points with finite values that no point of lower or equal rate equals or surpasses, by increasing rate.

    `qualities`: larger is better.
    """
    finite = np.isfinite(rates) & np.isfinite(qualities) & (rates > 0)
    rates, qualities, improves = _sorted(rates[None, finite], qualities[None, finite])
    return rates[improves], qualities[improves]


def on_front(info: MetricInfo, rates: np.ndarray, values: np.ndarray) -> np.ndarray:
    """bool [points]: which points are on the Pareto front of the metric over the rate."""
    qualities = _as_quality(info, values)
    front = set(zip(*map(np.ndarray.tolist, pareto_front(rates, qualities)), strict=True))
    return np.array([point in front for point in zip(rates.tolist(), qualities.tolist(), strict=True)], dtype=bool)


def in_noise(curve: Curve, metric: str) -> np.ndarray:
    """bool [points]: which values are so good that differences between them are meaningless."""
    info, values = curve.info(metric), curve.values[metric]
    noise = info.noise
    if noise is None:
        return np.zeros(len(values), dtype=bool)
    return values > noise if info.higher_is_better else values < noise


class _Bundle:
    """R versions of a curve, ready for interpolation: `axis`, the variable that is averaged over, `height`, the other
    one, and `kept`, which points are used, all [R, points]."""

    def __init__(self, curve: Curve, metric: str, over_quality: bool, rates: np.ndarray, values: np.ndarray) -> None:
        usable = np.isfinite(curve.bpp) & (curve.bpp > 0) & np.isfinite(curve.values[metric]) & ~in_noise(curve, metric)
        qualities = _as_quality(curve.info(metric), values[:, usable])
        rates, qualities, improves = _sorted(rates[:, usable], qualities)
        if over_quality:
            self.axis, self.height = qualities, np.log(rates)
            self.kept = _apart(self.axis, improves)
        else:
            self.axis, self.height = np.log(rates), qualities
            # From the other end, so that the better of two near points is kept.
            self.kept = _apart(-self.axis[:, ::-1], improves[:, ::-1])[:, ::-1]
        self.low = np.where(self.kept, self.axis, np.inf).min(axis=1, initial=np.inf)
        self.high = np.where(self.kept, self.axis, -np.inf).max(axis=1, initial=-np.inf)

    def integral(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """[R]: integral of each version from its `low` to its `high`; NaN if it has fewer than two points."""
        result = np.full(len(self.axis), np.nan)
        for pattern in np.unique(self.kept, axis=0):
            if pattern.sum() >= 2:
                rows = (self.kept == pattern).all(axis=1)
                points = np.ix_(rows, pattern)
                result[rows] = pchip_integral(self.axis[points], self.height[points], low[rows], high[rows])
        return result


def _delta(reference: Curve, test: Curve, metric: str, over_quality: bool) -> Delta:
    pair = reference, test
    if any(metric not in curve.values for curve in pair):
        return Delta(None, "not measured for both")
    if not all(np.isfinite(curve.bpp).any() for curve in pair):
        return Delta(None, f"{COUNTS[test.count]} are not counted for both")
    one, other = (_Bundle(curve, metric, over_quality, curve.bpp[None], curve.values[metric][None]) for curve in pair)
    fewest = min(bundle.kept.sum() for bundle in (one, other))
    if fewest < MINIMUM_POINTS:
        said = "1 point improves" if fewest == 1 else f"{fewest} points improve"
        return Delta(None, f"only {said} with rate, {MINIMUM_POINTS} needed")
    shared = min(one.high[0], other.high[0]) - max(one.low[0], other.low[0])
    overlap = max(shared, 0) / min(bundle.high[0] - bundle.low[0] for bundle in (one, other))
    if overlap < MINIMUM_OVERLAP:
        what = "quality" if over_quality else "rate"
        return Delta(None, f"curves share {overlap:.0%} of their {what} range, {MINIMUM_OVERLAP:.0%} needed")
    (value,) = _in_units(_mean_difference(one, other), test.info(metric), over_quality)
    return Delta(float(value), "", float(overlap), *_interval(reference, test, metric, over_quality))


def _mean_difference(reference: _Bundle, test: _Bundle) -> np.ndarray:
    """[R]: mean of `test` − `reference` over the range that each pair of versions shares; NaN if there is none."""
    low, high = np.maximum(reference.low, test.low), np.minimum(reference.high, test.high)
    shares = high > low
    low, high = np.where(shares, low, 0), np.where(shares, high, 1)
    difference = (test.integral(low, high) - reference.integral(low, high)) / (high - low)
    return np.where(shares, difference, np.nan)


def _in_units(difference: np.ndarray, info: MetricInfo, over_quality: bool) -> np.ndarray:
    if over_quality:
        return 100 * np.expm1(difference)
    return difference if info.higher_is_better else -difference


def _interval(reference: Curve, test: Curve, metric: str, over_quality: bool) -> tuple[float, float] | tuple[()]:
    """Bounds; empty if per-image values are not available."""
    one, other = reference.images_of, test.images_of
    if one is None or other is None or one.names != other.names or reference.data_key != test.data_key:
        return ()
    if metric not in one.values or metric not in other.values:
        return ()
    bundles = (
        _Bundle(curve, metric, over_quality, images.resampled["bpp"], images.resampled[metric])
        for curve, images in ((reference, one), (test, other))
    )
    values = _in_units(_mean_difference(*bundles), test.info(metric), over_quality)
    if np.isfinite(values).mean() < MINIMUM_RESAMPLES:
        return ()
    return interval_of(values)


def _sorted(rates: np.ndarray, qualities: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points [R, points] by increasing rate, and which of them are better than all before them."""
    order = np.lexsort((-qualities, rates), axis=1)
    rates, qualities = (np.take_along_axis(values, order, axis=1) for values in (rates, qualities))
    best = np.maximum.accumulate(qualities, axis=1)
    before = np.concatenate([np.full((len(best), 1), -np.inf), best[:, :-1]], axis=1)
    return rates, qualities, qualities > before


def _apart(axis: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """bool [R, points]: of the candidates along an axis, the first and those that are not near the last one taken."""
    if not axis.shape[1]:
        return candidates
    lowest = np.where(candidates, axis, np.inf).min(axis=1)
    highest = np.where(candidates, axis, -np.inf).max(axis=1)
    step, last = NEAR * (highest - lowest), np.full(len(axis), -np.inf)
    taken = np.zeros_like(candidates)
    for place in range(axis.shape[1]):
        taken[:, place] = candidates[:, place] & (axis[:, place] - last > step)
        last = np.where(taken[:, place], axis[:, place], last)
    return taken


def _as_quality(info: MetricInfo, values: np.ndarray) -> np.ndarray:
    """Values on a scale where larger is better; MS-SSIM in decibels, which are not compressed at the upper end."""
    if info.name == "ms_ssim":
        return -10 * np.log10(np.maximum(1 - values, 1e-12))
    return values if info.higher_is_better else -values


def pchip_integral(x: np.ndarray, y: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """[R]: integral of the monotone cubic interpolant (Fritsch & Butland 1984) of each of R curves, from `low` to
    `high`, within the curve's range.

    x, y: [R, points], at least two; x strictly increasing and y monotone, in one direction, in each row.
    """
    width = np.diff(x)
    secant = np.diff(y) / width
    slope = _slopes(width, secant)
    bend = (3 * secant - 2 * slope[:, :-1] - slope[:, 1:]) / width
    twist = (slope[:, :-1] + slope[:, 1:] - 2 * secant) / width**2
    coefficients = (y[:, :-1], slope[:, :-1] / 2, bend / 3, twist / 4)  # of the antiderivative, from s¹ on

    def antiderivative(place: np.ndarray) -> np.ndarray:
        s = np.clip(place[:, None] - x[:, :-1], 0, width)  # within each segment
        return sum(c * s**power for power, c in enumerate(coefficients, start=1)).sum(axis=1)

    return antiderivative(high) - antiderivative(low)


def _slopes(width: np.ndarray, secant: np.ndarray) -> np.ndarray:
    """Derivatives at the points: weighted harmonic means of the secants beside them, one-sided at the ends."""
    if width.shape[1] == 1:
        return np.repeat(secant, 2, axis=1)
    before, after = width[:, :-1], width[:, 1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        weighted = (2 * after + before) / secant[:, :-1] + (after + 2 * before) / secant[:, 1:]
        inside = np.where(secant[:, :-1] * secant[:, 1:] > 0, 3 * (before + after) / weighted, 0)
    return np.column_stack([_end(width, secant), inside, _end(width[:, ::-1], secant[:, ::-1])])


def _end(width: np.ndarray, secant: np.ndarray) -> np.ndarray:
    """Derivative at the first point of the parabola through three points; 0 if its sign is not the first secant's."""
    slope = ((2 * width[:, 0] + width[:, 1]) * secant[:, 0] - width[:, 0] * secant[:, 1]) / (width[:, 0] + width[:, 1])
    return np.where(slope * secant[:, 0] > 0, slope, 0)
