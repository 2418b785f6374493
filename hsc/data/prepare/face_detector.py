"""dlib's frontal detector: faces in a photograph with their 68 landmarks, and whether a picture looks like an aligned
face. Needs the `judges` extra.
"""

from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from hsc.judges import weights
from hsc.judges.aligned import DLIB_BOX, FRAME
from hsc.judges.base import import_extra

# Lengths of the longer side, in pixels, at which faces are searched for, in turn until some are found. The detector's
# window is 80 pixels wide, so faces of at least 16 %, 8 % and 4 % of the longer side are found.
SIDES = (512, 1024, 2048)
MAX_ENLARGEMENT = 4
# Limits on the box's shift from DLIB_BOX, in frames, and on its relative size. Of 300 FFHQ faces 298 pass (shifts up to
# .09, ratios .80 to 1.16), of 30 portraits that were not aligned one does.
FARTHEST = 0.12
LARGEST_RATIO = 1.45


class Face(NamedTuple):
    """A face in pixels of its photograph, in dlib's coordinates: (0, 0) is the centre of the first pixel."""

    box: tuple[float, float, float, float]  # left, top, right, bottom
    score: float  # the detector's, above 0
    landmarks: np.ndarray  # [68, 2], in the order of 300-W


class FaceDetector:
    """Finds upright faces, the largest first.

    Detection takes 0.1 s and landmarks a few milliseconds per photograph on one core. Raises NotAvailable without dlib
    or the landmarks' weights.
    """

    def __init__(self) -> None:
        dlib = import_extra("dlib", "judges", "the face detector")
        self._rectangle = dlib.rectangle
        self._detector = dlib.get_frontal_face_detector()
        self._predictor = dlib.shape_predictor(str(weights.locate("dlib68")))

    def __call__(self, image: Image.Image, every: bool = False) -> list[Face]:
        """The faces of an RGB image; with `every`, also small faces beside larger ones, found at higher resolution."""
        pixels = np.array(image)
        faces = [self._look_closely(pixels, box, score) for box, score in self._detect(image, every)]
        return sorted(faces, key=lambda face: (face.box[0] - face.box[2], face.box))

    def _detect(self, image: Image.Image, every: bool) -> list[tuple[tuple[float, float, float, float], float]]:
        longer = max(image.size)
        sides = sorted({min(side, MAX_ENLARGEMENT * longer) for side in SIDES})
        for side in sides[1:] or sides if every else sides:
            scale = side / longer
            seen = image.resize([max(1, round(n * scale)) for n in image.size], Image.Resampling.BILINEAR)
            boxes, scores, _ = self._detector.run(np.array(seen), 0, 0.0)
            if len(boxes):
                ends = [(box.left(), box.top(), box.right(), box.bottom()) for box in boxes]
                return [
                    (tuple(round(end / scale, 1) for end in box), score)
                    for box, score in zip(ends, scores, strict=True)
                ]
        return []

    def _look_closely(self, pixels: np.ndarray, box: tuple[float, float, float, float], score: float) -> Face:
        shape: Any = self._predictor(pixels, self._rectangle(*(round(end) for end in box)))
        return Face(box, round(score, 4), np.array([(point.x, point.y) for point in shape.parts()], np.float64))


class AlignmentCheck:
    """Compares the position of a face found by dlib's detector with that in aligned faces.

    Needs dlib but no weights; 20 ms per picture. Raises NotAvailable without dlib.
    """

    def __init__(self) -> None:
        self._detector = import_extra("dlib", "judges", "the alignment check").get_frontal_face_detector()

    def __call__(self, image: Image.Image) -> bool:
        """Whether a face of an RGB image is approximately where FFHQ has it."""
        frame = np.array(image.resize((FRAME, FRAME), Image.Resampling.BILINEAR))
        return any(
            _alike(np.array([box.left(), box.top(), box.right(), box.bottom()])) for box in self._detector(frame)
        )


def _alike(box: np.ndarray) -> bool:
    expected = np.array(DLIB_BOX)
    ratio = (box[2] - box[0]) / (expected[2] - expected[0])
    shift = (box[:2] + box[2:] - expected[:2] - expected[2:]) / 2
    return 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO and float(np.abs(shift).max()) <= FARTHEST * FRAME
