"""The frequency table: validity, cost, storage."""

import numpy as np
import pytest
from scipy.stats import norm

from hsc.coding.tables import TOTAL, FrequencyTable, fold, unfold
from hsc.errors import HscError


@pytest.fixture(scope="module")
def table() -> FrequencyTable:
    return FrequencyTable.gaussian()


def test_rows_are_distributions(table):
    assert table.frequencies.shape == (64, 256)
    assert table.frequencies.min() >= 1
    assert (table.frequencies.sum(axis=1) == TOTAL).all()


def test_fold_and_unfold_are_inverse():
    symbols = np.array([0, -1, 1, -2, 2, -(2**31 - 1), 2**31 - 1])
    assert fold(symbols).tolist() == [0, 1, 2, 3, 4, 2**32 - 3, 2**32 - 2]
    assert (unfold(fold(symbols)) == symbols).all()


def test_frequencies_follow_the_gaussian(table):
    symbols = np.arange(-127, 128)
    for row, scale in enumerate(table.scales):
        expected = norm.cdf((symbols + 0.5) / scale) - norm.cdf((symbols - 0.5) / scale)
        stored = table.frequencies[row, fold(symbols)] / TOTAL
        # Every column first gets 1 of the 2^24, and the remainder of rounding down is added to symbol 0.
        assert np.abs(stored - expected).max() < 3 * 256 / TOTAL


def test_mean_bits_are_the_entropy_of_the_distribution(table):
    symbols = np.arange(-400, 401)
    for row, scale in enumerate(table.scales):
        probability = norm.cdf((symbols + 0.5) / scale) - norm.cdf((symbols - 0.5) / scale)
        entropy = -(probability[probability > 0] * np.log2(probability[probability > 0])).sum()
        cost = (probability * table.bits(symbols, np.full(len(symbols), row))).sum()
        assert entropy - 1e-9 < cost < entropy + 0.001


def test_bits_of_an_escape_count_its_code(table):
    widest = table.num_classes - 1
    escape = 24 - np.log2(table.frequencies[widest, -1])
    # Escaped numbers start at 1 (one bit), then 2 and 3 (three bits), 4 … 7 (five), …; the largest takes 63 bits.
    symbols = [-128, 128, -129, 129, 2**31 - 1]
    assert table.bits(symbols, [widest] * 5) == pytest.approx(escape + np.array([1, 3, 3, 5, 63]))


def test_arrays_restore_the_table(table):
    restored = FrequencyTable.from_arrays(table.to_arrays())
    assert (restored.frequencies == table.frequencies).all()
    assert (restored.scales == table.scales).all()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda a: a.pop("scales"), "lack"),
        (lambda a: a.update(frequencies=a["frequencies"].astype(np.int64)), "int32"),
        (lambda a: a.update(frequencies=a["frequencies"][0]), "matrix"),
        (lambda a: a.update(frequencies=a["frequencies"][:, :-1]), "2R"),
        (lambda a: a.update(frequencies=a["frequencies"][:0]), "2R"),
        (lambda a: a["frequencies"].__setitem__((3, 5), 0), "below 1"),
        (lambda a: a["frequencies"].__setitem__((3, 5), 9), "sum"),
        (lambda a: a.update(scales=a["scales"][1:]), "scales"),
        (lambda a: a["scales"].__setitem__(7, np.nan), "increasing"),
        (lambda a: a["scales"].__setitem__(7, 0.01), "increasing"),
    ],
)
def test_a_malformed_table_is_refused(table, damage, message):
    arrays = {name: array.copy() for name, array in table.to_arrays().items()}
    damage(arrays)
    with pytest.raises(HscError, match=message):
        FrequencyTable.from_arrays(arrays)
