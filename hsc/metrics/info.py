"""What each metric is: its name in logs and result files, which way is better, whose answers it is made of, and how it
is shown.
"""

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hsc.judges.base import Judge


@dataclass(frozen=True)
class MetricInfo:
    """A metric as readers see it: shown numbers are `scale` × the stored ones.

    judge: whose answers it is made of; empty where several judges give it, and names in result files carry the judge.
    family: backbone of that judge, where hsc does not know it by name.
    noise: stored values better than this tell nothing apart. is_cost: a rate or a time, which buys quality.
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
        """The same with an arrow in the better direction."""
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
_LOGGED_AS = {"lpips.alex": "lpips", "lpips.vgg": "lpips_vgg"}  # other judges' answers under the judge's own name
_ON_FEATURES = re.compile("(frechet|kid)_(.+)")  # distances of sets on a judge's features, such as frechet_vgg16

# What other tools, and logs of training, call the same numbers.
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
    """What training logs the answers of a perceptual judge as: lpips for lpips.alex, others under their own name."""
    return _LOGGED_AS.get(judge, judge)


def column_name(judge: str) -> str:
    """The same in result files."""
    return logged_name(judge).replace(".", "_")


def metric_info(metric: str) -> MetricInfo | None:
    """What is known of a metric such as `identity_accuracy.dlib@500`, or of a rate; None if nothing is."""
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
    """The name in result files of a metric by its logged name: with its judge, where several give it, and the size of
    the gallery that `identity_accuracy` falls with."""
    info = metric_info(metric)
    if info is None or info.judge:
        return metric
    return f"{metric}.{judge}@{gallery}" if metric == "identity_accuracy" and gallery else f"{metric}.{judge}"


def describe(judge: "Judge", name: str) -> MetricInfo:
    """The metric that a perceptual judge's answers are, under the name they are logged or stored with."""
    known = metric_info(name)
    return known or MetricInfo(name, judge.name, judge.higher_is_better, judge=judge.name, family=judge.family)


def is_quality(metric: str) -> bool:
    """Whether hsc knows the name as a metric of quality."""
    info = metric_info(metric)
    return info is not None and not info.is_cost


def quality_info(metric: str) -> MetricInfo:
    """What is known of a metric of quality, as all in `Curve.metrics` are."""
    info = metric_info(metric)
    assert info is not None, metric
    return info


def sort_key(metric: str) -> tuple[int, str]:
    """Sorts metrics as the tables list them."""
    order = list(_METRICS)
    metric = canonical_name(metric)
    base = metric if metric in _METRICS else _parts(metric)[0]
    return (order.index(base) if base in order else len(order), metric)


def distance_names(judge: "Judge") -> tuple[str, str]:
    """What the Fréchet and the kernel distance are called on a judge's features; "FID" is Inception's alone."""
    if judge.family == "inception":
        return "fid", "kid"
    name = judge.name.rpartition(".")[2]
    return f"frechet_{name}", f"kid_{name}"


def _parts(metric: str) -> tuple[str, str, str]:
    """Base, judge and size of the gallery of a name that carries its judge; two empty texts for any other."""
    if on_features := _ON_FEATURES.fullmatch(metric):
        return on_features[1], on_features[2], ""
    base, _, detail = metric.partition(".")
    known = _METRICS.get(base)
    if known is None or known.judge or known.is_cost:  # a module of a user's may be called psnr
        return metric, "", ""
    judge, _, gallery = detail.partition("@")
    return base, judge, gallery
