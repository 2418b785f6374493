"""Bjøntegaard deltas: known savings are found, and curves that cannot be compared are refused."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from hsc.errors import HscError
from hsc.evaluation.bdrate import bd_metric, bd_rate, pareto_front, pchip_integral
from hsc.evaluation.results import Curve, counted
from hsc.evaluation.rows import ImageValues

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


@pytest.mark.parametrize("count", [2, 3, 4, 9])
def test_integrals_are_scipys(count):
    random = np.random.default_rng(count)
    x = np.cumsum(random.random((40, count)) + 1e-3, axis=1)
    y = np.cumsum(random.random((40, count)) ** 4, axis=1) * random.choice([-1, 1], (40, 1))
    low, high = x[:, 0] + 0.2 * np.ptp(x, axis=1), x[:, -1] - 0.1 * np.ptp(x, axis=1)
    expected = [PchipInterpolator(a, b).integrate(*ends) for a, b, *ends in zip(x, y, low, high, strict=True)]
    np.testing.assert_allclose(pchip_integral(x, y, low, high), expected, rtol=1e-12, atol=1e-12)


def test_points_that_lie_close_together_do_not_swing_the_average():
    """JPEG's coarsest qualities: two files of nearly equal size and quality, then a step."""
    jpeg = curve([0.25, 0.34, 0.3401, 0.5, 0.8], psnr=[20.5, 23.2, 23.2001, 26.4, 28.1])
    reference = curve(RATES, psnr=[19.0, 21.5, 24.0, 26.5, 29.0])
    without = curve([0.25, 0.34, 0.5, 0.8], psnr=[20.5, 23.2, 26.4, 28.1])
    for delta in (bd_rate, bd_metric):
        assert delta(reference, jpeg, "psnr").value == pytest.approx(delta(reference, without, "psnr").value, rel=1e-3)


def test_landmarks_below_their_noise_are_left_out():
    nme = np.array([0.06, 0.04, 0.03, 0.02, 0.012])
    reference = curve(RATES, **{"landmark_nme.dlib68": nme})
    noisy = curve(0.9 * RATES, **{"landmark_nme.dlib68": np.append(nme[:4], 0.002)})
    assert bd_rate(reference, noisy, "landmark_nme.dlib68").value == pytest.approx(-10, abs=1e-6)
    fewer = curve(RATES, **{"landmark_nme.dlib68": [0.06, 0.03, 0.02, 0.01, 0.005]})
    assert "only 3 points improve" in bd_rate(reference, fewer, "landmark_nme.dlib68").refusal


def of_images(rates: np.ndarray, psnr: np.ndarray, names=None) -> Curve:
    """A curve of means, with the values [points, images] that were averaged."""
    names = names or [f"{number:04}" for number in range(rates.shape[1])]
    images = ImageValues(list(range(len(rates))), names, {"bpp": rates, "psnr": psnr})
    return replace(curve(rates.mean(axis=1), psnr=psnr.mean(axis=1)), data_key="faces", images_of=images)


def two_codecs(images: int, seed: int, saving: float = 0.1) -> tuple[Curve, Curve]:
    """Images differ a lot in bytes and quality, equally for both codecs; the saving differs a little between images."""
    random = np.random.default_rng(seed)
    spread = np.exp(random.normal(0, 0.4, images))
    own_saving = 1 - saving + random.normal(0, 0.05, images)
    rates, quality = RATES[:, None] * spread, psnr(RATES)[:, None] + random.normal(0, 2, images)
    return of_images(rates, quality), of_images(own_saving * rates, quality)


def test_interval_is_that_of_the_same_images_for_both():
    delta = bd_rate(*two_codecs(100, 1), "psnr")
    assert delta.low < delta.value < delta.high
    assert delta.high - delta.low < 4  # a tenth of the spread of either curve
    assert delta == bd_rate(*two_codecs(100, 1), "psnr")


def test_interval_covers_the_truth_as_often_as_promised():
    deltas = [bd_rate(*two_codecs(60, seed), "psnr") for seed in range(60)]
    assert 52 <= sum(delta.low <= -10 <= delta.high for delta in deltas) <= 60
    better = [bd_metric(*two_codecs(60, seed), "psnr") for seed in range(3)]
    assert all(delta.low < delta.value < delta.high for delta in better)


def test_no_interval_where_the_images_are_not_the_same():
    reference, test = two_codecs(20, 2)
    elsewhere = of_images(test.images_of.values["bpp"], test.images_of.values["psnr"], [f"b{n:04}" for n in range(20)])
    for other in (elsewhere, replace(test, data_key="others"), replace(test, images_of=None)):
        delta = bd_rate(reference, other, "psnr")
        assert delta.value is not None
        assert (delta.low, delta.high) == (None, None)


def test_an_interval_needs_nearly_all_resamples():
    """The curves share a range of qualities only because of one extreme image."""
    reference, test = two_codecs(20, 3)
    test.images_of.values["psnr"][:, 0] += 5000
    shifted = of_images(test.images_of.values["bpp"], test.images_of.values["psnr"] - 250)
    delta = bd_rate(reference, shifted, "psnr")
    assert delta.value is not None
    assert delta.low is None


def test_headers_left_out_of_the_count():
    """Every file of one codec has 83 bytes of headers, those of the other have none."""
    pixels = 128 * 128
    sizes = RATES * pixels / 8
    bare = replace(curve(RATES, psnr=psnr(RATES), slice_bytes=sizes), pixels=pixels)
    headed = replace(curve(RATES + 8 * 83 / pixels, psnr=psnr(RATES), slice_bytes=sizes), pixels=pixels)
    assert bd_rate(bare, headed, "psnr").value > 10
    pictures = [counted(one, "pictures") for one in (bare, headed)]
    assert bd_rate(*pictures, "psnr").value == pytest.approx(0, abs=1e-9)
    unknown = counted(curve(RATES, psnr=psnr(RATES)), "pictures")
    assert bd_rate(pictures[0], unknown, "psnr").refusal == "coded pictures alone are not counted for both"
