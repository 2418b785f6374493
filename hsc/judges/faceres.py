"""FaceRes: a MobileNet recogniser. It is used to train codecs (the loss `faceres`) and the small recogniser that comes
with hsc, and never for evaluation; docs/judges.md gives the source of its weights."""

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from hsc.judges import weights
from hsc.judges.aligned import crop, in_pixels
from hsc.judges.base import Judge
from hsc.judges.faceres_net import FaceResNet

# The network was trained at 224²; at 160² it costs half and separates the people of ORL equally well (AUC 0.9998).
INPUT_SIZE = 160

# The network's input square in an image with FFHQ's alignment (left, top, side; fractions of the image).
FACE_BOX = (0.13, 0.2, 0.74)


class FaceRes(Judge):
    """Recogniser `faceres`: 1024-d unit vectors. Raises NotAvailable without the weights."""

    name = family = "faceres"
    kind = "recogniser"
    threshold = 0.8

    def __init__(self) -> None:
        super().__init__()
        self.net = FaceResNet()
        self.net.load_state_dict(load_file(weights.locate("faceres")))
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.freeze()

    def forward(self, image: Tensor) -> Tensor:
        """[N, 3, S, S] in [-1, 1] → [N, 1024]."""
        with torch.autocast(image.device.type, enabled=False):
            face = crop(image, in_pixels(FACE_BOX, image), INPUT_SIZE)
            features = self.net((face.add(1) * 127.5).contiguous(memory_format=torch.channels_last))
        return F.normalize(features)
