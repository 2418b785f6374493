"""Feature judges for set distances: VGG16 and, if the user has provided its weights, the Inception-v3 of FID."""

import torch
from torch import Tensor

from hsc.images import resize
from hsc.judges import backbones, weights
from hsc.judges.base import Judge, import_extra


class VGG16Features(Judge):
    """Features `vgg16`: relu5_3, averaged over all positions, 512-d.

    Images are resized to 224² (bicubic, antialiased). Fréchet distances on these features are not "FID".
    Raises NotAvailable without VGG16's weights.
    """

    name = "vgg16"
    family = "vgg"
    kind = "features"

    def __init__(self) -> None:
        super().__init__()
        self.features = backbones.vgg16()
        self.freeze()

    def forward(self, image: Tensor) -> Tensor:
        """[N, 3, S, S] → [N, 512]."""
        image = resize(image.float(), 224)
        with self.precision(image):
            (layer,) = backbones.taps(self.features, image, backbones.VGG16_TAPS[-1:])
        return layer.float().mean((2, 3))


class InceptionFeatures(Judge):
    """Features `inception`: the 2048-d pool of TensorFlow's Inception-v3, on which FID is defined, by torch-fidelity.

    Raises NotAvailable without torch-fidelity or the weights.
    """

    name = family = "inception"
    kind = "features"
    differentiable = False

    def __init__(self) -> None:
        super().__init__()
        path = weights.locate("inception")
        import hsc.compat  # noqa: F401  torch-fidelity imports torchvision

        extractor = import_extra("torch_fidelity.feature_extractor_inceptionv3", "judges", self.name)
        # It unpickles the file without restrictions, which is safe here: `locate` has compared its SHA-256.
        self.net = extractor.FeatureExtractorInceptionV3(
            "inception", ["2048"], feature_extractor_weights_path=str(path)
        )
        self.freeze()

    def forward(self, image: Tensor) -> Tensor:
        """[N, 3, S, S] → [N, 2048]."""
        pixels = image.float().add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
        with self.precision(image):
            return self.net(pixels)[0]
