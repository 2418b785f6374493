"""The quantities result files hold: how each is called, which way is better, and how it is shown."""

import re
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Quantity:
    """A metric as readers see it: `label` names it with its judge, shown numbers are `scale` × the stored ones.

    noise: stored values better than this tell nothing apart.
    """

    label: str
    higher_is_better: bool
    unit: str = ""
    decimals: int = 3
    scale: float = 1.0
    noise: float | None = None

    @property
    def axis(self) -> str:
        """Label of an axis."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def arrow(self) -> str:
        """The better direction."""
        return "↑" if self.higher_is_better else "↓"

    def show(self, value: float) -> str:
        return f"{self.scale * value:.{self.decimals}f}"


_QUANTITIES = {
    "lpips": Quantity("LPIPS (AlexNet)", False),
    "lpips_vgg": Quantity("LPIPS (VGG)", False),
    "dists": Quantity("DISTS", False),
    "ms_ssim": Quantity("MS-SSIM", True, decimals=4),
    "psnr": Quantity("PSNR", True, "dB", 2),
    "identity_accuracy": Quantity("Rank-1 identity", True, "%", 1, 100),
    "identity_distance": Quantity("Identity distance", False),
    "verification_accuracy": Quantity("Verification accuracy", True, "%", 1, 100),
    "verification_auc": Quantity("Verification AUC", True, decimals=4),
    "verification_tar": Quantity("True accept rate", True, "%", 1, 100),
    "verification_identified": Quantity("Person identified", True, "%", 1, 100),
    "landmark_nme": Quantity("Landmark error (NME)", False, "%", 2, 100, noise=0.013),
    "detection_rate": Quantity("Detection rate", True, "%", 1, 100),
    "fid": Quantity("FID", False, decimals=2),
    "kid": Quantity("KID", False, decimals=4),
    "frechet": Quantity("Fréchet distance", False, decimals=2),
}
_ON_FEATURES = re.compile("(frechet|kid)_(.+)")  # distances of sets on a judge's features, such as frechet_vgg16

# What other tools call the same numbers.
_ALIASES = {
    "psnr-rgb": "psnr",
    "ms-ssim": "ms_ssim",
    "ms-ssim-rgb": "ms_ssim",
    "lpips-alex": "lpips",
    "lpips.alex": "lpips",
    "lpips-vgg": "lpips_vgg",
    "lpips.vgg": "lpips_vgg",
    "encoding_time": "encode_seconds",
    "decoding_time": "decode_seconds",
}


def canonical_name(metric: str) -> str:
    """The name hsc uses for a metric or time of any result file."""
    return _ALIASES.get(metric, metric)


def quantity(metric: str) -> Quantity | None:
    """What is known of a metric such as `identity_accuracy.dlib@500`; None for anything that is not a metric."""
    base, detail = _base(metric)
    known = _QUANTITIES.get(base)
    if known is None or not detail:
        return known
    judge, _, gallery = detail.partition("@")
    detail = f"{judge}, gallery of {gallery}" if gallery else judge
    return replace(known, label=f"{known.label}, {detail}")


def known(metric: str) -> Quantity:
    """The quantity of a metric that is one, as all in `Curve.metrics` are."""
    found = quantity(metric)
    assert found is not None, metric
    return found


def sort_key(metric: str) -> tuple[int, str]:
    """Sorts metrics as the tables list them."""
    order = list(_QUANTITIES)
    base, _ = _base(metric)
    return (order.index(base) if base in order else len(order), metric)


def _base(metric: str) -> tuple[str, str]:
    """The quantity, and the judge with the size of its gallery."""
    if on_features := _ON_FEATURES.fullmatch(metric):
        return on_features[1], on_features[2]
    base, _, judge = metric.partition(".")
    return base, judge
