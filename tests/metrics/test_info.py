"""Each metric has one description, found by its name in logs, in result files and in other tools."""

import math

import pytest

from hsc.judges import NotAvailable, judge_names, load_judge
from hsc.metrics.info import (
    column_name,
    describe,
    is_quality,
    logged_name,
    metric_info,
    quality_info,
    result_column,
    sort_key,
)


@pytest.mark.parametrize(
    ("name", "label", "higher"),
    [
        ("psnr-rgb", "PSNR", True),
        ("lpips.vgg", "LPIPS (VGG)", False),
        ("dists_lite0", "DISTS (Lite0)", False),
        ("identity_accuracy.dlib@500", "Rank-1 identity, dlib, gallery of 500", True),
        ("identity_distance.insightface:buffalo_l", "Identity distance, insightface:buffalo_l", False),
        ("landmark_nme.dlib68", "Landmark error (NME), dlib68", False),
        ("kid_vgg16", "KID, vgg16", False),
        ("frechet_vgg16", "Fréchet distance, vgg16", False),
    ],
)
def test_names_of_logs_and_files_lead_to_one_description(name: str, label: str, higher: bool):
    info = quality_info(name)
    assert (info.label, info.higher_is_better) == (label, higher)


def test_a_module_called_like_a_metric_is_not_that_metric():
    for name in ("psnr.judges:Mine", "bytes.judges:Mine", "lpips.mine", "encode_seconds", "image", ""):
        assert metric_info(name) is None
    assert not is_quality("bpp")
    assert metric_info("bpp").is_better(0.1, 0.2)


@pytest.mark.parametrize("name", judge_names())
def test_judges_and_descriptions_agree(name: str):
    try:
        judge = load_judge(name)
    except NotAvailable as reason:
        pytest.skip(str(reason))
    if judge.kind == "perceptual":
        for called in (logged_name(name), column_name(name)):
            info = metric_info(called)
            assert info == describe(judge, called)
            assert (info.higher_is_better, info.judge) == (judge.higher_is_better, name)


def test_columns_carry_the_judge_where_several_give_the_metric():
    assert result_column("psnr", "psnr") == "psnr"
    assert result_column("mine", "mine") == "mine"
    assert result_column("landmark_nme", "dlib68") == "landmark_nme.dlib68"
    assert result_column("identity_accuracy", "dlib", 24) == "identity_accuracy.dlib@24"
    assert result_column("identity_distance", "dlib", 24) == "identity_distance.dlib"


def test_numbers_that_are_none_are_never_better():
    info = quality_info("psnr")
    assert info.is_better(20, None)
    assert info.is_better(20, math.nan)
    assert not info.is_better(math.nan, 20)
    assert not info.is_better(20, 20)


def test_metrics_are_listed_as_tables_show_them():
    names = ["mine", "kid_vgg16", "landmark_nme.dlib68", "psnr", "identity_accuracy.dlib@9", "lpips"]
    expected = ["lpips", "psnr", "identity_accuracy.dlib@9", "landmark_nme.dlib68", "kid_vgg16", "mine"]
    assert sorted(names, key=sort_key) == expected
