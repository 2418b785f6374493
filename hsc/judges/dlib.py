"""dlib's face recogniser and its 68-point landmark predictor, at a fixed position in aligned faces. Not differentiable.

dlib holds Python's global interpreter lock, so threads do not speed it up.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from hsc.judges import weights
from hsc.judges.aligned import DLIB_BOX, frames, to_image_pixels
from hsc.judges.base import Judge, import_extra


class DlibRecogniser(Judge):
    """Recogniser `dlib`: 128-d descriptors whose Euclidean distance is below `threshold` for faces of the same person.

    ResNet-29 (King 2017), 99.4 % on LFW according to its author. 90 ms per image on one core.
    Raises NotAvailable without dlib or the weights.
    """

    name = family = "dlib"
    kind = "recogniser"
    differentiable = False
    threshold = 0.6

    def __init__(self) -> None:
        super().__init__()
        dlib = import_extra("dlib", "judges", self.name)
        self._predictor = dlib.shape_predictor(str(weights.locate("dlib68")))
        self._network = dlib.face_recognition_model_v1(str(weights.locate("dlib")))
        self._box = dlib.rectangle(*DLIB_BOX)
        self.freeze()

    def forward(self, image: Tensor) -> Tensor:
        """[N, 3, S, S] → [N, 128]."""
        descriptors = [
            self._network.compute_face_descriptor(frame, self._predictor(frame, self._box)) for frame in frames(image)
        ]
        return torch.tensor(np.array(descriptors), dtype=torch.float32, device=image.device).reshape(-1, 128)


class DlibLandmarks(Judge):
    """Landmarker `dlib68`: the 68 points of 300-W, by Kazemi & Sullivan (CVPR 2014). 2.4 ms per image on one core.

    The weights were trained on 300-W, whose licence covers research only.
    Raises NotAvailable without dlib or the weights.
    """

    name = "dlib68"
    family = "dlib"
    kind = "landmarker"
    differentiable = False
    outer_eye_corners = (36, 45)

    def __init__(self) -> None:
        super().__init__()
        dlib = import_extra("dlib", "judges", self.name)
        self._predictor = dlib.shape_predictor(str(weights.locate("dlib68")))
        self._detector = dlib.get_frontal_face_detector()
        self._box = dlib.rectangle(*DLIB_BOX)
        self.freeze()

    def forward(self, image: Tensor) -> Tensor:
        """[N, 3, S, S] → [N, 68, 2]."""
        points = [_points(self._predictor(frame, self._box)) for frame in frames(image)]
        return to_image_pixels(np.array(points, dtype=np.float32).reshape(-1, 68, 2), image)

    def detects(self, image: Tensor) -> Tensor:
        """[N, 3, S, S] → bool [N]: whether dlib's frontal face detector finds a face anywhere. 12 ms per image."""
        return torch.tensor(
            [len(self._detector(frame)) > 0 for frame in frames(image)], dtype=torch.bool, device=image.device
        )


def _points(shape: Any) -> list[tuple[int, int]]:
    return [(point.x, point.y) for point in shape.parts()]
