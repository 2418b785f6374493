"""Face verification per layer in an evaluation."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from doubles import Pixels
from pictures import encoded, write_zip

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
    """A zip with one folder for each of four people, with three noisy pictures each."""
    members = {}
    for person in range(4):
        random = np.random.default_rng(person)
        face = random.integers(40, 216, (4, 4, 3)).repeat(4, 0).repeat(4, 1)
        for picture in range(3):
            noisy = np.clip(face + random.normal(0, 12, face.shape), 0, 255)
            members[f"p{person}/{picture}.png"] = encoded(noisy.astype(np.uint8))
    return write_zip(tmp_path / "album.zip", members)


def test_every_layer_tells_whether_people_are_known(codec, album, tmp_path, judges) -> None:
    results = json.loads(evaluate(codec, album, tmp_path / "out", judges=("pixels",), people=True).read_text())
    faces = open_faces(album)
    originals = torch.stack([to_tensor(faces.load(name)) for name in faces.names])
    recogniser = Pixels()
    for depth, entry in enumerate(results["entries"], start=1):
        decoded = torch.stack(codec.decompress(codec.compress(originals, 1, layers=depth)))
        eight_bit = decoded.add(1).mul(127.5).round().clamp(0, 255).div(127.5).sub(1)
        people = people_of(faces.names)
        expected = verification_scores(recogniser(eight_bit), recogniser(originals), people, far=0.01)
        for name in ("auc", "tar", "identified"):
            assert entry["results"][f"verification_{name}.pixels"][1] == pytest.approx(getattr(expected, name)), name
