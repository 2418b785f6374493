"""Who is who, per layer, through an evaluation."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hsc.data.faces import open_faces
from hsc.errors import HscError
from hsc.evaluation.evaluate import evaluate
from hsc.evaluation.set_distances import people_of
from hsc.images import to_tensor
from hsc.metrics.identity import verification_scores


def test_folders_are_people() -> None:
    assert people_of(["a/1.png", "b/1.png", "a/2.png"]).tolist() == [0, 1, 0]
    for names in (["1.png", "2.png"], ["a/1.png", "b/1.png"]):
        with pytest.raises(HscError, match="--people needs"):
            people_of(names)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Four people, three noisy pictures each, in the folders of a zip."""
    with zipfile.ZipFile(tmp_path / "album.zip", "w") as archive:
        for person in range(4):
            random = np.random.default_rng(person)
            face = random.integers(40, 216, (4, 4, 3))
            for picture in range(3):
                noisy = np.clip(face.repeat(4, 0).repeat(4, 1) + random.normal(0, 12, (16, 16, 3)), 0, 255)
                stream = io.BytesIO()
                Image.fromarray(noisy.astype(np.uint8)).save(stream, "PNG")
                archive.writestr(f"p{person}/{picture}.png", stream.getvalue())
    return tmp_path / "album.zip"


def test_every_layer_tells_whether_people_are_known(codec, album, tmp_path, judges) -> None:
    results = json.loads(evaluate(codec, album, tmp_path / "out", judges=("pixels",), people=True).read_text())
    faces = open_faces(album)
    originals = torch.stack([to_tensor(faces.load(name)) for name in faces.names])
    recogniser = load_judge_double()
    for depth, entry in enumerate(results["entries"], start=1):
        decoded = torch.stack(codec.decompress(codec.compress(originals, 1, layers=depth)))
        eight_bit = decoded.add(1).mul(127.5).round().clamp(0, 255).div(127.5).sub(1)
        people = people_of(faces.names)
        expected = verification_scores(recogniser(eight_bit), recogniser(originals), people, far=0.01)
        for name in ("auc", "tar", "identified"):
            assert entry["results"][f"verification_{name}.pixels"][1] == pytest.approx(getattr(expected, name)), name


def load_judge_double() -> torch.nn.Module:
    from hsc import judges as room

    return room.load_judge("pixels")
