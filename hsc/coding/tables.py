"""The stored table of integer frequencies that the range coder uses."""

from dataclasses import dataclass
from functools import cached_property
from math import erfc
from typing import Any

import constriction
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hsc.errors import HscError

PRECISION = 24  # bits; the only precision of constriction's Python interface
TOTAL = 1 << PRECISION
Categorical = constriction.stream.model.Categorical
LARGEST_SYMBOL = (1 << 31) - 1  # symbols fit int32, and so do their negatives


@dataclass(frozen=True, eq=False)
class FrequencyTable:
    """Integer frequencies of every symbol under every scale class.

    A row of `frequencies` belongs to a class. Its columns are ordered by magnitude: symbols 0, −1, 1, −2, 2, … −R, R,
    then the escape that announces any larger symbol. So the most probable symbol starts at 0, and a chunk of only zeros
    takes no bytes. Every entry is at least 1 and every row sums to 2^24.

    frequencies: int32 [classes, 2R + 2].
    scales: float64 [classes], increasing, the standard deviation each row was made for. Needed only to choose classes;
        coding never reads it.
    Raises HscError when the arrays are not such a table.
    """

    frequencies: NDArray[np.int32]
    scales: NDArray[np.float64]

    def __post_init__(self) -> None:
        _check(self.frequencies, self.scales)
        self.frequencies.setflags(write=False)
        self.scales.setflags(write=False)

    @classmethod
    def gaussian(
        cls, num_classes: int = 64, smallest: float = 0.08, largest: float = 32.0, radius: int = 127
    ) -> "FrequencyTable":
        """Discretised zero-mean Gaussians with log-spaced standard deviations: the table that an export stores.

        Neighbouring scales differ by 10 %, which costs at most 0.0035 bits a symbol against the exact scale. `radius` R
        is 4 standard deviations of the widest class; larger symbols are escaped.
        """
        scales = np.geomspace(smallest, largest, num_classes)
        tails = np.vectorize(erfc)(np.arange(0.5, radius + 1) / (scales[:, None] * np.sqrt(2))) / 2  # P(y > m + ½)
        magnitudes = tails[:, :-1] - tails[:, 1:]  # P(symbol = m) for m = 1 … R
        probabilities = np.concatenate(
            [1 - 2 * tails[:, :1], np.repeat(magnitudes, 2, axis=1), 2 * tails[:, -1:]], axis=1
        )
        num_columns = probabilities.shape[1]
        frequencies = 1 + np.floor(probabilities * (TOTAL - num_columns)).astype(np.int64)
        frequencies[:, 0] += TOTAL - frequencies.sum(axis=1)
        return cls(frequencies.astype(np.int32), scales)

    @property
    def num_classes(self) -> int:
        return len(self.frequencies)

    @property
    def radius(self) -> int:
        """R: symbols of a larger magnitude are escaped."""
        return self.frequencies.shape[1] // 2 - 1

    @property
    def escape(self) -> int:
        """The column that announces an escaped symbol."""
        return self.frequencies.shape[1] - 1

    @cached_property
    def models(self) -> list[Any]:
        """constriction's model of each class. It adds 1 to every entry of its input, scaled to sum to 2^24 − columns;
        given frequencies − 1 that scale is exactly 1, so the arithmetic uses exactly the table's integers."""
        return [Categorical(row, perfect=False) for row in (self.frequencies - 1).astype(np.float64)]

    def bits(self, symbols: ArrayLike, classes: ArrayLike) -> NDArray[np.float64]:
        """The ideal cost of each symbol in bits, −log2 of its frequency ÷ 2^24, plus the escape code's bits."""
        symbols, classes = np.asarray(symbols), np.asarray(classes)
        folded = fold(symbols)
        bits = PRECISION - np.log2(self.frequencies[classes, np.minimum(folded, self.escape)])
        escaped = folded >= self.escape
        bits[escaped] += (
            2 * np.frexp(folded[escaped] - self.escape + 1)[1] - 1
        )  # gamma code of a number of `exponent` bits
        return bits

    def to_arrays(self) -> dict[str, NDArray]:
        """The arrays for a weights file."""
        return {"frequencies": self.frequencies, "scales": self.scales}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray]) -> "FrequencyTable":
        """The table from the output of `to_arrays`. Raises HscError when an entry is missing or malformed."""
        try:
            return cls(np.array(arrays["frequencies"]), np.array(arrays["scales"]))
        except KeyError as error:
            raise HscError(f"the weights lack the frequency table's {error}; export the model again") from error


def fold(symbols: NDArray[np.integer]) -> NDArray[np.int64]:
    """0, −1, 1, −2, 2, … → 0, 1, 2, 3, 4, …: a symbol's column; escaped symbols give the escape's column or larger."""
    wide = symbols.astype(np.int64)
    return 2 * np.abs(wide) - (wide < 0)


def unfold(folded: NDArray[np.int64]) -> NDArray[np.int32]:
    """The inverse of `fold`."""
    magnitudes = (folded + 1) // 2
    return np.where(folded % 2 == 1, -magnitudes, magnitudes).astype(np.int32)


def _check(frequencies: NDArray, scales: NDArray) -> None:
    problem = None
    if frequencies.dtype != np.int32 or frequencies.ndim != 2:
        problem = f"frequencies must be a matrix of int32, not {frequencies.ndim}-d {frequencies.dtype}"
    elif frequencies.shape[0] < 1 or frequencies.shape[1] < 2 or frequencies.shape[1] % 2:
        problem = f"frequencies of shape {frequencies.shape} are not [classes, 2R + 2]"
    elif frequencies.min() < 1:
        problem = "a frequency is below 1"
    elif (frequencies.sum(axis=1, dtype=np.int64) != TOTAL).any():
        problem = f"a row does not sum to {TOTAL}"
    elif scales.dtype != np.float64 or scales.shape != (len(frequencies),):
        problem = f"scales must be {len(frequencies)} float64, not {scales.shape} {scales.dtype}"
    elif not (np.isfinite(scales).all() and (scales > 0).all() and (np.diff(scales) > 0).all()):
        problem = "scales must be positive and increasing"
    if problem:
        raise HscError(f"malformed frequency table: {problem}; export the model again")
