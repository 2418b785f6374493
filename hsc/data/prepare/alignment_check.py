"""Does a picture look like an aligned face? Cheap enough to ask before encoding."""

import numpy as np
from PIL import Image

from hsc.judges.aligned import DLIB_BOX, FRAME
from hsc.judges.base import import_extra

# How far the box may be from DLIB_BOX, in frames, and how many times as large. Of 300 FFHQ faces 298 pass (shifts up to
# .09, ratios .80 to 1.16), of 30 portraits that were not aligned one does.
FARTHEST = 0.12
LARGEST_RATIO = 1.45


class AlignmentCheck:
    """Compares the place where dlib's detector sees a face with the one that aligned faces have it in.

    Needs no weights beside dlib; 20 ms a picture. Raises NotAvailable without dlib.
    """

    def __init__(self) -> None:
        self._detector = import_extra("dlib", "judges", "the alignment check").get_frontal_face_detector()

    def __call__(self, image: Image.Image) -> bool:
        """Whether a face of an RGB image is about where FFHQ has it."""
        frame = np.array(image.resize((FRAME, FRAME), Image.Resampling.BILINEAR))
        return any(
            _alike(np.array([box.left(), box.top(), box.right(), box.bottom()])) for box in self._detector(frame)
        )


def _alike(box: np.ndarray) -> bool:
    expected = np.array(DLIB_BOX)
    ratio = (box[2] - box[0]) / (expected[2] - expected[0])
    shift = (box[:2] + box[2:] - expected[:2] - expected[2:]) / 2
    return 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO and float(np.abs(shift).max()) <= FARTHEST * FRAME
