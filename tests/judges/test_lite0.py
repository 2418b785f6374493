"""EfficientNet-Lite0's features, with its real weights."""

import pytest
import torch

from hsc.judges import NotAvailable, weights
from hsc.judges.lite0 import WIDTHS, Lite0


@pytest.fixture(scope="module")
def net() -> Lite0:
    try:
        weights.locate("lite0")
    except NotAvailable as reason:
        pytest.skip(str(reason))
    return Lite0()


def test_known_values(net: Lite0):
    """Mean and standard deviation of the features of a ramp at each scale, from another implementation in float64."""
    images = torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64)
    known = [(1.742, 10.0096), (0.9478, 9.0847), (-0.4276, 7.0244), (0.0568, 1.6531)]
    for features, (mean, deviation) in zip(net(images), known, strict=True):
        assert float(features.mean()) == pytest.approx(mean, abs=2e-4)
        assert float(features.std()) == pytest.approx(deviation, abs=2e-4)


@pytest.mark.parametrize("size", [64, 100, 128])
def test_four_scales_of_any_size(net: Lite0, size: int):
    features = net(torch.zeros(2, 3, size, size))
    assert [f.shape for f in features] == [
        (2, width, -(-size // step), -(-size // step)) for width, step in zip(WIDTHS, (4, 8, 16, 32), strict=True)
    ]
