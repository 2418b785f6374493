"""DISTS (Ding et al., TPAMI 2020): structure and texture similarity of the features of VGG16 or EfficientNet-Lite0."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsc.images import resize
from hsc.judges import backbones, weights
from hsc.judges.base import Judge
from hsc.judges.lite0 import SMALLEST, WIDTHS, Lite0

# Keeps ratios of means and variances at 1 where these vanish.
_C = 1e-6


class _FeatureSimilarity(Judge):
    """Texture and structure similarity of each channel of each layer, weighted; 0 if images are identical."""

    kind = "perceptual"
    alpha: Tensor  # [channels of all layers] weights of texture; together with those of structure they sum to 1
    beta: Tensor  # [channels of all layers] weights of structure

    def forward(self, reference: Tensor, image: Tensor) -> Tensor:
        """Two [N, 3, H, W] of the same size → [N]."""
        return self.compare(self.describe(reference), self.describe(image))

    def compare(self, reference: list[Tensor], image: list[Tensor]) -> Tensor:
        """The outputs of `describe` for both → [N]."""
        layers = list(zip(reference, image, strict=True))
        texture = torch.cat([_similarity(a.mean((2, 3)), b.mean((2, 3))) for a, b in layers], dim=1)
        structure = torch.cat([_structure(a, b) for a, b in layers], dim=1)
        return 1 - (texture * self.alpha + structure * self.beta).sum(1)

    def describe(self, image: Tensor) -> list[Tensor]:
        """[N, 3, H, W] → the image in [0, 1] and the features of each layer, in float32, which are compared."""
        raise NotImplementedError


class DISTS(_FeatureSimilarity):
    """Perceptual judge `dists`. Raises NotAvailable without VGG16's weights.

    VGG16 with Hann-weighted L2 pooling instead of max pooling; the channels' weights come with torchmetrics.
    """

    name = "dists"
    family = "vgg"
    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.ModuleList(backbones.vgg16())
        hann = torch.hann_window(5, periodic=False)[1:-1]
        self.register_buffer("window", torch.outer(hann, hann) / hann.sum() ** 2)
        heads = torch.load(weights.locate("dists"), map_location="cpu", weights_only=True)
        total = heads["alpha"].sum() + heads["beta"].sum()
        self.alpha, self.beta = (nn.Parameter((heads[name] / total).flatten()) for name in ("alpha", "beta"))
        self.freeze()

    def describe(self, image: Tensor) -> list[Tensor]:
        x = (image + 1) / 2
        layers = [x.float()]
        with self.precision(image):
            x = backbones.normalise(image)
            for number, layer in enumerate(self.features):
                x = self._pool(x) if isinstance(layer, nn.MaxPool2d) else layer(x)
                if number in backbones.VGG16_TAPS:
                    layers.append(x.float())
        return layers

    def _pool(self, x: Tensor) -> Tensor:
        window = self.window.to(x.dtype).expand(x.shape[1], 1, 3, 3)
        squares = F.conv2d(x.square(), window, stride=2, padding=1, groups=x.shape[1])
        return (squares + 1e-12).sqrt()


class Lite0DISTS(_FeatureSimilarity):
    """Perceptual judge `dists.lite0`, for training: DISTS's similarities of EfficientNet-Lite0's features. Raises
    NotAvailable without its weights.

    The image and the four scales of features have equal weights, and so do texture and structure, and the channels of a
    scale. Features can have either sign, so their positive and negative parts are separate channels: with means near
    zero, of either sign, the texture term would be arbitrary. Images below 64² are enlarged.
    """

    name = "dists.lite0"
    family = "lite0"

    def __init__(self) -> None:
        super().__init__()
        self.features = Lite0()
        channels = (3, *(2 * width for width in WIDTHS))
        share = torch.cat([torch.full((count,), 0.5 / len(channels) / count) for count in channels])
        self.register_buffer("alpha", share)
        self.register_buffer("beta", share.clone())
        self.freeze()

    def describe(self, image: Tensor) -> list[Tensor]:
        height, width = image.shape[-2:]
        scale = max(SMALLEST / min(height, width), 1)
        image = resize(image, (round(width * scale), round(height * scale)))
        with self.precision(image):
            layers = [torch.cat([x.float().relu(), (-x.float()).relu()], 1) for x in self.features(image)]
        return [(image.float() + 1) / 2, *layers]


def _similarity(a: Tensor, b: Tensor) -> Tensor:
    return (2 * a * b + _C) / (a.square() + b.square() + _C)


def _structure(a: Tensor, b: Tensor) -> Tensor:
    covariance = (a * b).mean((2, 3)) - a.mean((2, 3)) * b.mean((2, 3))
    variances = a.var((2, 3), correction=0) + b.var((2, 3), correction=0)
    return (2 * covariance + _C) / (variances + _C)
