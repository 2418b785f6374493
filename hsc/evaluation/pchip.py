"""Integrals of monotone cubic interpolants, many curves at once.

PCHIP (Fritsch & Butland 1984), the interpolant of `scipy.interpolate.PchipInterpolator`, which takes only curves that
share their abscissae; bootstrap resamples do not.
"""

import numpy as np


def pchip_integral(x: np.ndarray, y: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """∫ of the interpolant of each of R curves between `low` and `high`, [R], within the curve's range.

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
    """The derivative at the first point, of the parabola through three, never against the first secant."""
    slope = ((2 * width[:, 0] + width[:, 1]) * secant[:, 0] - width[:, 0] * secant[:, 1]) / (width[:, 0] + width[:, 1])
    return np.where(slope * secant[:, 0] > 0, slope, 0)
