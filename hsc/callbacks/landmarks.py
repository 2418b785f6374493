"""How far landmarks move."""

from typing import cast

from hsc.callbacks.base import JudgeCallback
from hsc.judges import Judge
from hsc.metrics import LandmarkError
from hsc.validation_output import CodecOutput


class LandmarkErrorCallback(JudgeCallback):
    """Logs `landmark_nme` of every layer, and `detection_rate` where the judge can tell whether it detects a face.

    `judge`: a landmarker, with its `outer_eye_corners` and, where it has a detector, `detects(images) → bool [N]`.
    """

    measures = "landmarks"

    def __init__(self, judge: str | Judge = "dlib68") -> None:
        super().__init__(judge)

    def new_metric(self) -> LandmarkError:
        assert self.judge is not None
        return LandmarkError(cast(tuple[int, int], self.judge.outer_eye_corners))

    def observe(self, output: CodecOutput) -> None:
        if self.about_originals is None:
            return
        originals = self.about_originals(output.originals)
        detects = getattr(self.judge, "detects", None)
        for layer, decoded in output.layers.items():
            images = decoded.images.float()
            detected = detects(images) if detects else None
            self.metric(layer).update(output.names, originals, self.about_decoded(images), detected)
