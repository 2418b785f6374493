"""Memory depends on the size of pictures, not on their number."""

import subprocess
import sys
from pathlib import Path

from pictures import write_pictures

SIDE, AT_ONCE, COUNT = 256, 2, 8

MEASURED = f"""
import resource, sys
from hsc import images
from hsc.evaluation.anchors import JPEG
from hsc.evaluation.evaluate import evaluate
from hsc.judges import Judge

class LargeFeatures(Judge):
    name, family, kind = "large", "large", "perceptual"

    def describe(self, image):
        return [image.repeat(1, 48, 1, 1)]  # 38 MB a picture

    def compare(self, reference, image):
        return (reference[0] - image[0]).square().mean((1, 2, 3))

images.PIXELS_AT_ONCE, JPEG.qualities = {AT_ONCE * SIDE**2}, (20,)
settings = dict(anchors=["jpeg"], judges=["__main__:LargeFeatures"], device="cpu")
for limit in ({AT_ONCE}, {COUNT}):
    evaluate(None, sys.argv[1], f"{{sys.argv[2]}}/{{limit}}", limit=limit, **settings)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_many_pictures_take_the_memory_of_as_many_as_are_measured_at_once(tmp_path: Path) -> None:
    pictures = write_pictures(tmp_path / "pictures.zip", COUNT, SIDE, squares=8)
    command = [sys.executable, "-c", MEASURED, str(pictures), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    few, many = (int(line) for line in ended.stdout.splitlines() if line.isdigit())
    assert many < 1.3 * few, "all at once would take twice as much"
