"""How far landmarks move."""

from hsc.callbacks.base import JudgeCallback
from hsc.judges import Judge
from hsc.metrics import LandmarkError
from hsc.outputs import CodecOutput


class LandmarkErrorCallback(JudgeCallback):
    """Logs `landmark_nme` of every layer, and `detection_rate` where the judge can tell whether it detects a face.

    `judge`: a landmarker. It may have `outer_eyes`, the indices of the outer eye corners, and `detected(images) → [N]`
    booleans.
    """

    measures = "landmarks"

    def __init__(self, judge: str | Judge = "dlib_landmarks") -> None:
        super().__init__(judge)

    def new_metric(self) -> LandmarkError:
        return LandmarkError(getattr(self.judge, "outer_eyes", None))

    def observe(self, output: CodecOutput) -> None:
        if self.about_originals is None:
            return
        originals = self.about_originals(output.originals)
        detect = getattr(self.judge, "detected", None)
        for layer, decoded in output.layers.items():
            images = decoded.images.float()
            detected = detect(images) if detect else None
            self.metric(layer).update(output.names, originals, self.about_decoded(images), detected)
