"""Differences between prefixes are paired by image."""

import pytest

from hsc.evaluation.rows import WHOLE, Row
from hsc.evaluation.summary import layer_gains


def row(image: str, layer: str, size: int, **metrics: float | None) -> Row:
    return Row(image, "mine", layer, 0, size, None, None, None, None, metrics)


def test_a_gain_is_the_mean_of_the_differences_of_the_same_images() -> None:
    # Rows out of order, and images that differ far more from each other than their layers do.
    rows = [row("a", "basic", 10, psnr=10.0, lpips=0.5), row("b", "basic", 20, psnr=30.0, lpips=None)]
    rows += [row("b", "middle", 26, psnr=31.0, lpips=0.1), row("a", "middle", 14, psnr=11.0, lpips=0.3)]
    gains = {gain.metric: gain for gain in layer_gains(rows)}
    assert (gains["psnr"].after, gains["psnr"].layer, gains["psnr"].bytes_more) == ("basic", "middle", 5)
    assert gains["psnr"][-3:] == pytest.approx((1.0, 1.0, 1.0))
    assert gains["lpips"].difference == pytest.approx(-0.2)


def test_codecs_without_layers_have_no_gains() -> None:
    assert not list(layer_gains([row("a", WHOLE, 10, psnr=10.0)]))
