"""ArcFace as a torch network: insightface's recognisers with gradients, for training."""

import warnings

import hsc.compat  # noqa: F401  isort: skip  onnx2torch imports torchvision
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hsc.judges.aligned import FIVE_POINTS, FRAME
from hsc.judges.base import Judge, import_extra
from hsc.judges.insightface import find_model


class ArcFace(Judge):
    """Recogniser `arcface:PACK_OR_FOLDER`: unit vectors, as of `insightface:PACK_OR_FOLDER` up to interpolation.

    The pack's ONNX file is converted by onnx2torch; the crop is insightface's similarity transform, sampled bilinearly.
    Raises NotAvailable without insightface, onnx2torch, the folder, or a recognition model in it.
    """

    family = "arcface"
    kind = "recogniser"
    threshold = 1.2

    def __init__(self, pack: str) -> None:
        super().__init__()
        self.name = f"arcface:{pack}"
        model = find_model(pack, "recognition", self.name)
        self.net = import_extra("onnx2torch", "judges", self.name).convert(model.model_file)
        self.size: int = model.input_size[0]
        self.shift, self.scale = model.input_mean, model.input_std
        self.places: Tensor
        self.register_buffer("places", _places(self.size), persistent=False)
        self.freeze()

    def forward(self, image: Tensor) -> Tensor:
        """[N, 3, S, S] → [N, d]."""
        with torch.autocast(image.device.type, enabled=False):
            size = image.shape[-1]
            frame = F.interpolate(image.float(), size=(FRAME, FRAME), mode="bilinear", antialias=size > FRAME)
            places = self.places.expand(len(image), -1, -1, -1)
            face = F.grid_sample(frame.clamp(-1, 1).add(1), places, align_corners=False).mul(127.5)  # black outside
            return F.normalize(self.net((face - self.shift) / self.scale))


def _places(size: int) -> Tensor:
    """Position in the frame of each pixel of the crop, [1, size, size, 2] in `grid_sample`'s coordinates."""
    from insightface.utils import face_align

    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # from scikit-image
        to_crop = face_align.estimate_norm(np.array(FIVE_POINTS, dtype=np.float32), size)
    to_frame = np.linalg.inv(np.vstack([to_crop, [0, 0, 1]]))[:2]
    y, x = np.mgrid[:size, :size]
    pixels = np.stack([x, y, np.ones_like(x)], axis=-1) @ to_frame.T
    return torch.tensor((pixels + 0.5) / FRAME * 2 - 1, dtype=torch.float32)[None]
