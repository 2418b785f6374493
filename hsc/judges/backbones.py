"""The convolutional parts of AlexNet and VGG16, trained on ImageNet; several judges are built on them.

Layers and their indices are those of torchvision's `features`. They are built here because torchvision's constructors
also create and initialise the classifier: 124 of VGG16's 138 million parameters, which no judge needs.
"""

from functools import cache

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from hsc.judges import weights

# Means and standard deviations of ImageNet's colours for images in [-1, 1].
IMAGENET_MEAN = (-0.030, -0.088, -0.188)
IMAGENET_STD = (0.458, 0.448, 0.450)

# The ReLUs whose outputs perceptual distances compare.
ALEXNET_TAPS = (1, 4, 7, 9, 11)
VGG16_TAPS = (3, 8, 15, 22, 29)  # relu1_2, relu2_2, relu3_3, relu4_3, relu5_3


def alexnet() -> nn.Sequential:
    """AlexNet up to relu5. Raises NotAvailable if its weights are missing."""
    layers = [
        nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True),
    ]  # fmt: skip
    return _load(layers, "alexnet")


def vgg16() -> nn.Sequential:
    """VGG16 up to relu5_3. Raises NotAvailable if its weights are missing."""
    layers: list[nn.Module] = []
    in_channels = 3
    for stage, (channels, convolutions) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]):
        if stage:
            layers.append(nn.MaxPool2d(2))
        for _ in range(convolutions):
            layers += [nn.Conv2d(in_channels, channels, 3, padding=1), nn.ReLU(inplace=True)]
            in_channels = channels
    return _load(layers, "vgg16")


def normalise(images: Tensor) -> Tensor:
    """[N, 3, H, W] in [-1, 1] → ImageNet's normalisation, channels last."""
    mean, std = _colours(images.device, images.dtype)
    return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


@cache
def _colours(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """ImageNet's means and standard deviations [3, 1, 1], moved to each device once."""
    with torch.inference_mode(False):  # otherwise they could not be used with gradients later
        mean, std = (torch.tensor(c, device=device, dtype=dtype)[:, None, None] for c in (IMAGENET_MEAN, IMAGENET_STD))
    return mean, std


def taps(features: nn.Sequential, images: Tensor, numbers: tuple[int, ...]) -> list[Tensor]:
    """[N, 3, H, W] in [-1, 1] → the outputs of the layers with these indices, in ascending order."""
    x = normalise(images)
    outputs = []
    for number in range(numbers[-1] + 1):
        x = features[number](x)
        if number in numbers:
            outputs.append(x)
    return outputs


def _load(layers: list[nn.Module], name: str) -> nn.Sequential:
    features = nn.Sequential(*layers)
    features.load_state_dict(load_file(weights.locate(name)))
    return features.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
