"""An adversarial prior is validated on its samples and keeps its best snapshot, also after a kill."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hsc.checkpoints import load_generator, weights_file
from hsc.judges.base import Judge
from hsc.training.stage_folder import STORE

pytestmark = pytest.mark.slow

KILLED = -signal.SIGKILL
DISTANCE = "val/generated/kid_brightness"
# At this learning rate, the generator's first faces are closer to the data than its last.
ADVERSARIAL = (
    "run=[prior]",
    "stages.prior.adversarial.path_weight=2",
    "stages.prior.learning_rate=0.05",
    "stages.prior.validate_every=2",
    f"judges.distribution={__name__}:Brightness",
    "judges.distribution_faces=500",
)


class Brightness(Judge):
    """Fast features: the mean of each colour in each quarter."""

    name, family, kind = "brightness", "brightness", "features"

    def __init__(self) -> None:
        super().__init__()
        self.freeze()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(image.float(), 2).flatten(1)


@pytest.fixture(scope="module")
def many_faces(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 20 pictures 26 times over: distances need 500 of them."""
    folder = tmp_path_factory.mktemp("many")
    shutil.unpack_archive(faces, folder)
    for picture in list(folder.iterdir()):
        for copy in range(1, 26):
            shutil.copy(picture, picture.with_name(f"{copy:02d}{picture.name}"))
    return folder


def distances(experiment, name: str = "tiny") -> dict[int, float]:
    """Logged distance by samples seen."""
    rows = experiment.rows("prior", name)
    return {int(row["samples_seen"]): row[DISTANCE] for row in rows if DISTANCE in row}


def test_the_best_snapshot_is_kept_also_after_kill_9(
    experiment, many_faces: Path, train_in_process: Callable[..., int], tmp_path: Path
) -> None:
    data = (f"defaults.data.path={many_faces}", "defaults.data.train=????.png", "defaults.data.validation=1[6-9].png")
    words = (*ADVERSARIAL, *data)
    said = tmp_path / "said"
    assert train_in_process(experiment, *words, "name=whole", output=str(said)) == 0, said.read_text()
    seen = distances(experiment, "whole")
    assert list(seen) == [8, 16, 20], "every second step of four images, and the last"
    done = experiment.done("prior", "whole")
    assert done["metrics"][DISTANCE] == pytest.approx(min(seen.values()))
    assert done["metrics"]["samples_seen"] == min(seen, key=lambda images: seen[images]) < 20
    assert not (experiment.folder("whole") / "prior" / "best.ckpt").exists()

    shutil.rmtree(experiment.runs / STORE)  # otherwise the second run would reuse the first one's stage
    assert train_in_process(experiment, *words, kill=("prior", 3, signal.SIGKILL)) == KILLED
    assert train_in_process(experiment, *words) == 0
    whole, resumed = experiment.weights("prior", "whole"), experiment.weights("prior")
    assert whole.keys() == resumed.keys()
    assert not [name for name, value in whole.items() if not torch.equal(value, resumed[name])]
    assert {images: value for images, value in distances(experiment).items() if images >= 16} == {
        images: value for images, value in seen.items() if images >= 16
    }

    released = experiment.folder() / "prior.safetensors"
    assert weights_file.load(released).kind == "generator"
    generator = load_generator(released)
    kept = {f"decoder.generator.{name}": value for name, value in generator.state_dict().items()}
    assert all(torch.equal(value, resumed[name]) for name, value in kept.items())
