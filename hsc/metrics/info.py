"""Descriptions of all metrics: name in logs and result files, which direction is better, the judge that computes it,
and display format.
"""

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hsc.judges.base import Judge


@dataclass(frozen=True)
class MetricInfo:
    """How a metric is displayed: displayed numbers are `scale` × the stored ones.

    judge: the judge that computes it; empty if several judges can, in which case names in result files include the
    judge. family: backbone of that judge, if it is not built into hsc.
    noise: differences between stored values better than this are meaningless. is_cost: a rate or a time, not a quality.
    """

    name: str
    label: str
    higher_is_better: bool = False
    unit: str = ""
    decimals: int = 3
    scale: float = 1.0
    noise: float | None = None
    judge: str = ""
    is_cost: bool = False
    family: str = ""

    @property
    def axis(self) -> str:
        """Label of an axis."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def title(self) -> str:
        """The axis label with an arrow in the better direction."""
        return f"{self.axis} {'↑' if self.higher_is_better else '↓'}"

    def show(self, value: float) -> str:
        return f"{self.scale * value:.{self.decimals}f}"

    def is_better(self, value: float, best: float | None) -> bool:
        """Whether a stored value is better than the best so far; NaN never is."""
        if math.isnan(value) or best is None or math.isnan(best):
            return not math.isnan(value)
        return value > best if self.higher_is_better else value < best


# In the order in which tables list them.
_METRICS = {
    info.name: info
    for info in (
        MetricInfo("lpips", "LPIPS (AlexNet)", judge="lpips.alex"),
        MetricInfo("lpips_vgg", "LPIPS (VGG)", judge="lpips.vgg"),
        MetricInfo("dists", "DISTS", judge="dists"),
        MetricInfo("dists_lite0", "DISTS (Lite0)", judge="dists.lite0"),
        MetricInfo("ms_ssim", "MS-SSIM", True, decimals=4, judge="ms_ssim"),
        MetricInfo("psnr", "PSNR", True, "dB", 2, judge="psnr"),
        MetricInfo("identity_accuracy", "Rank-1 identity", True, "%", 1, 100),
        MetricInfo("identity_distance", "Identity distance"),
        MetricInfo("verification_accuracy", "Verification accuracy", True, "%", 1, 100),
        MetricInfo("verification_auc", "Verification AUC", True, decimals=4),
        MetricInfo("verification_tar", "True accept rate", True, "%", 1, 100),
        MetricInfo("verification_identified", "Person identified", True, "%", 1, 100),
        MetricInfo("landmark_nme", "Landmark error (NME)", False, "%", 2, 100, noise=0.013),
        MetricInfo("detection_rate", "Detection rate", True, "%", 1, 100),
        MetricInfo("fid", "FID", decimals=2, judge="inception"),
        MetricInfo("kid", "KID", decimals=4, judge="inception"),
        MetricInfo("frechet", "Fréchet distance", decimals=2),
        MetricInfo("bytes", "bytes", decimals=1, is_cost=True),
        MetricInfo("bpp", "Rate", unit="bits per pixel", decimals=4, is_cost=True),
        MetricInfo("bpp_estimated", "Estimated rate", unit="bits per pixel", decimals=4, is_cost=True),
        MetricInfo("bpp_layer", "Rate of the layer", unit="bits per pixel", decimals=4, is_cost=True),
    )
}
_LOGGED_AS = {"lpips.alex": "lpips", "lpips.vgg": "lpips_vgg"}  # other judges' metrics have the judge's own name
_ON_FEATURES = re.compile("(frechet|kid)_(.+)")  # distances of sets on a judge's features, such as frechet_vgg16

# Names of the same numbers in other tools and in training logs.
_ALIASES = _LOGGED_AS | {
    "dists.lite0": "dists_lite0",
    "psnr-rgb": "psnr",
    "ms-ssim": "ms_ssim",
    "ms-ssim-rgb": "ms_ssim",
    "lpips-alex": "lpips",
    "lpips-vgg": "lpips_vgg",
    "encoding_time": "encode_seconds",
    "decoding_time": "decode_seconds",
}


def canonical_name(metric: str) -> str:
    """The name hsc uses for a metric or time of any result file."""
    return _ALIASES.get(metric, metric)


def logged_name(judge: str) -> str:
    """Name of a perceptual judge's metric in training logs: lpips for lpips.alex, for others the judge's own name."""
    return _LOGGED_AS.get(judge, judge)


def column_name(judge: str) -> str:
    """Name of a perceptual judge's metric in result files."""
    return logged_name(judge).replace(".", "_")


def metric_info(metric: str) -> MetricInfo | None:
    """Description of a metric such as `identity_accuracy.dlib@500`, or of a rate; None if it is unknown."""
    metric = canonical_name(metric)
    if metric in _METRICS:
        return _METRICS[metric]
    base, judge, gallery = _parts(metric)
    known = _METRICS.get(base)
    if known is None or not judge:
        return None
    detail = f"{judge}, gallery of {gallery}" if gallery else judge
    return replace(known, name=metric, label=f"{known.label}, {detail}", judge=judge)


def result_column(metric: str, judge: str, gallery: int = 0) -> str:
    """The name in result files of a metric, from its logged name: with its judge, if several can compute it, and with
    the size of the gallery, on which `identity_accuracy` depends."""
    info = metric_info(metric)
    if info is None or info.judge:
        return metric
    return f"{metric}.{judge}@{gallery}" if metric == "identity_accuracy" and gallery else f"{metric}.{judge}"


def describe(judge: "Judge", name: str) -> MetricInfo:
    """Description of a perceptual judge's metric, under the name it is logged or stored with."""
    known = metric_info(name)
    return known or MetricInfo(name, judge.name, judge.higher_is_better, judge=judge.name, family=judge.family)


def is_quality(metric: str) -> bool:
    """Whether the name is that of a built-in quality metric."""
    info = metric_info(metric)
    return info is not None and not info.is_cost


def quality_info(metric: str) -> MetricInfo:
    """Description of a quality metric, which must be known, as all in `Curve.metrics` are."""
    info = metric_info(metric)
    assert info is not None, metric
    return info


def sort_key(metric: str) -> tuple[int, str]:
    """Sort key for the order of metrics in tables."""
    order = list(_METRICS)
    metric = canonical_name(metric)
    base = metric if metric in _METRICS else _parts(metric)[0]
    return (order.index(base) if base in order else len(order), metric)


def distance_names(judge: "Judge") -> tuple[str, str]:
    """Names of the Fréchet and the kernel distance on a judge's features; "FID" is for Inception only."""
    if judge.family == "inception":
        return "fid", "kid"
    name = judge.name.rpartition(".")[2]
    return f"frechet_{name}", f"kid_{name}"


def _parts(metric: str) -> tuple[str, str, str]:
    """Base, judge and gallery size of a name that includes its judge; the last two are empty for any other."""
    if on_features := _ON_FEATURES.fullmatch(metric):
        return on_features[1], on_features[2], ""
    base, _, detail = metric.partition(".")
    known = _METRICS.get(base)
    if known is None or known.judge or known.is_cost:  # a user's own module may be called psnr
        return metric, "", ""
    judge, _, gallery = detail.partition("@")
    return base, judge, gallery
