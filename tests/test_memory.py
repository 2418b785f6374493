"""Memory follows from the size of pictures, not from their number."""

import subprocess
import sys
from pathlib import Path

import pytest
from pictures import write_pictures

from hsc.judges import NotAvailable, load_judge

BOUND = 3.5e9  # bytes, at 512²; eight pictures of this size at once would take about twice as many
SIDE, COUNT = 512, 8

MEASURED = """
import resource, sys
from hsc.evaluation.anchors import JPEG
from hsc.evaluation.evaluate import evaluate
JPEG.qualities = (20,)
evaluate(None, sys.argv[1], sys.argv[2], anchors=["jpeg"], judges=["lpips.vgg", "dists"], device="cpu")
unit = 1 if sys.platform == "darwin" else 1024
print(unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.fixture(scope="module")
def large_pictures(tmp_path_factory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("large") / "pictures.zip", COUNT, SIDE, squares=8)


@pytest.mark.slow
def test_eight_large_pictures_stay_within_the_bound(large_pictures: Path, tmp_path: Path) -> None:
    for name in ("lpips.vgg", "dists"):
        try:
            load_judge(name)
        except NotAvailable as reason:
            pytest.skip(str(reason))
    command = [sys.executable, "-c", MEASURED, str(large_pictures), str(tmp_path / "out")]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(ended.stdout.split()[-1]) < BOUND
