"""Bjøntegaard deltas: known savings come out, and nothing is averaged where there is nothing to average."""

import numpy as np
import pytest

from hsc.errors import HscError
from hsc.evaluation.bdrate import bd_metric, bd_rate, pareto_front
from hsc.evaluation.results import Curve

pytest.importorskip("bjontegaard")
RATES = np.array([0.05, 0.1, 0.2, 0.4, 0.8])


def curve(rates, **metrics) -> Curve:
    return Curve("codec", {"bpp": np.asarray(rates)} | {name: np.asarray(values) for name, values in metrics.items()})


def psnr(rates):
    return 30 + 6 * np.log2(rates) / 2


def test_ten_percent_saved_at_every_quality():
    reference, test = curve(RATES, psnr=psnr(RATES)), curve(0.9 * RATES, psnr=psnr(RATES))
    assert bd_rate(reference, test, "psnr").value == pytest.approx(-10, abs=1e-6)
    assert bd_rate(test, reference, "psnr").value == pytest.approx(100 / 9, abs=1e-6)


def test_lower_is_better_for_lpips():
    lpips = 0.3 - 0.05 * np.log2(RATES)
    reference, test = curve(RATES, lpips=lpips), curve(0.9 * RATES, lpips=lpips)
    assert bd_rate(reference, test, "lpips").value == pytest.approx(-10, abs=1e-6)
    assert bd_metric(reference, test, "lpips").value < 0
    better = curve(RATES, lpips=lpips - 0.02)
    assert bd_metric(reference, better, "lpips").value == pytest.approx(-0.02, abs=1e-9)


def test_one_decibel_more_at_every_rate():
    reference, test = curve(RATES, psnr=psnr(RATES)), curve(RATES, psnr=psnr(RATES) + 1)
    assert bd_metric(reference, test, "psnr").value == pytest.approx(1, abs=1e-9)


def test_ms_ssim_is_averaged_in_decibels():
    decibels = 8 + 3 * np.log2(RATES / RATES[0])
    reference = curve(RATES, ms_ssim=1 - 10 ** (-decibels / 10))
    test = curve(RATES, ms_ssim=1 - 10 ** (-(decibels + 1) / 10))
    assert bd_metric(reference, test, "ms_ssim").value == pytest.approx(1, abs=1e-9)


def test_order_and_number_of_points_do_not_matter():
    mixed = [3, 0, 4, 2, 1]
    finer = np.geomspace(0.05, 0.8, 9)
    reference = curve(RATES[mixed], psnr=psnr(RATES)[mixed])
    assert bd_rate(reference, curve(0.9 * finer, psnr=psnr(finer)), "psnr").value == pytest.approx(-10, abs=1e-6)


def test_points_that_cost_more_for_nothing_are_left_out():
    rates, qualities = pareto_front(np.array([1.0, 2, 2, 3, 4, np.nan]), np.array([5.0, 4, 7, 7, 8, 9]))
    assert rates.tolist() == [1, 2, 4]
    assert qualities.tolist() == [5, 7, 8]
    accuracy = np.array([0.2, 0.5, 0.9, 1.0, 1.0])
    saturated = curve(RATES, **{"identity_accuracy.dlib@500": accuracy})
    cheaper = curve(0.9 * RATES, **{"identity_accuracy.dlib@500": accuracy})
    assert bd_rate(saturated, cheaper, "identity_accuracy.dlib@500").value == pytest.approx(-10, abs=1e-6)


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        (curve(RATES, psnr=psnr(RATES) + 100), "share 0% of their quality range"),
        (curve(RATES, psnr=psnr(RATES) + 10.2), "share 15% of their quality range, 30% needed"),
        (curve(RATES[:3], psnr=psnr(RATES[:3])), "only 3 points improve with rate, 4 needed"),
        (curve(RATES, psnr=[30, 30, 30, 30, 30]), "only 1 point improves with rate"),
        (curve(RATES, psnr=[np.nan] * 5), "only 0 points"),
        (curve(RATES, lpips=RATES), "not measured for both"),
    ],
)
def test_refusals_say_why(test, reason):
    delta = bd_rate(curve(RATES, psnr=psnr(RATES)), test, "psnr")
    assert delta.value is None
    assert reason in delta.refusal


def test_small_curve_inside_a_large_one_is_compared():
    inside = np.geomspace(0.15, 0.2, 4)
    delta = bd_rate(curve(RATES, psnr=psnr(RATES)), curve(0.9 * inside, psnr=psnr(inside)), "psnr")
    assert delta.value == pytest.approx(-10, abs=0.1)


def test_metric_without_a_known_direction_is_refused():
    one = curve(RATES, beauty=RATES)
    with pytest.raises(HscError, match="beauty"):
        bd_rate(one, one, "beauty")
