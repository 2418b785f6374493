"""insightface's recognisers (ArcFace) and its 106 landmarks, at a fixed position in aligned faces. Not differentiable.

The package ships no weights. Its packs, such as buffalo_l, are for non-commercial research; nothing is downloaded here.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hsc.judges import weights
from hsc.judges.aligned import FIVE_POINTS, INSIGHTFACE_BOX, frames, to_image_pixels
from hsc.judges.base import Judge, NotAvailable, import_extra


class InsightFaceRecogniser(Judge):
    """Recogniser `insightface:PACK_OR_FOLDER`: unit vectors; Euclidean distance below `threshold`: same person.

    A distance of 1.2 is a cosine similarity of 0.28, the threshold of insightface's own demonstration.
    Raises NotAvailable without insightface, the folder, or a recognition model in it.
    """

    family = "arcface"
    kind = "recogniser"
    differentiable = False
    threshold = 1.2

    def __init__(self, pack: str) -> None:
        super().__init__()
        self.name = f"insightface:{pack}"
        self._model = find_model(pack, "recognition", self.name)
        self.freeze()

    def forward(self, image: Tensor) -> Tensor:
        """[N, 3, S, S] → [N, d]."""
        from insightface.utils import face_align

        points = np.array(FIVE_POINTS, dtype=np.float32)
        size = self._model.input_size[0]
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # from scikit-image, called by norm_crop
            crops = [face_align.norm_crop(_bgr(frame), points, size) for frame in frames(image)]
        descriptors = np.concatenate([self._model.get_feat(crop) for crop in crops])
        return torch.nn.functional.normalize(torch.from_numpy(descriptors).to(image.device))


class InsightFaceLandmarks(Judge):
    """Landmarker `insightface106:PACK_OR_FOLDER`: 106 points. Raises NotAvailable as the recogniser does."""

    family = "insightface106"
    kind = "landmarker"
    differentiable = False
    outer_eye_corners = (35, 93)

    def __init__(self, pack: str) -> None:
        super().__init__()
        self.name = f"insightface106:{pack}"
        self._model = find_model(pack, "landmark_2d_106", self.name)
        self.freeze()

    def forward(self, image: Tensor) -> Tensor:
        """[N, 3, S, S] → [N, 106, 2]."""
        from insightface.app.common import Face

        box = np.array(INSIGHTFACE_BOX, dtype=np.float32)
        points = np.stack([self._model.get(_bgr(frame), Face(bbox=box)) for frame in frames(image)])
        return to_image_pixels(points, image)


def _bgr(frame: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(frame[:, :, ::-1])


def find_model(pack: str, task: str, judge: str) -> Any:
    """The model for `task` among the ONNX files of a pack's folder; insightface infers the task from the shapes."""
    folder = Path(pack) if Path(pack).is_dir() else weights.locate_pack(pack)
    zoo = import_extra("insightface.model_zoo", "judges", judge)
    for file in sorted(folder.glob("*.onnx")):
        model = zoo.get_model(str(file), providers=["CPUExecutionProvider"])
        if model is not None and model.taskname == task:
            return model
    raise NotAvailable(f"{judge} not available: put a {task} model (*.onnx) of an insightface pack into {folder}")
