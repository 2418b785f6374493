"""dlib's recogniser and its landmarks in a fixed box, on real faces."""

import os
import re
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from torch import Tensor

from hsc.data.faces import open_faces
from hsc.data.prepare import Aligner
from hsc.errors import HscError
from hsc.images import resize, to_tensor
from hsc.metrics.identity import verification_scores


@pytest.mark.parametrize("name", ["dlib", "identity_student"])
def test_a_blurred_face_stays_nearest_to_its_own_original(name: str, faces, judge) -> None:
    recogniser, originals = judge(name), faces[:6]
    distances = torch.cdist(recogniser(resize(resize(originals, 48), 128)), recogniser(originals))
    assert distances.argmin(1).tolist() == list(range(6))
    assert (distances.diagonal() < recogniser.threshold).all()


def test_68_points_lie_where_ffhq_puts_eyes_and_chin(faces, judge) -> None:
    points = judge("dlib68")(resize(faces, 256))
    right, left = (points[:, corner].mean(0) for corner in judge("dlib68").outer_eye_corners)
    torch.testing.assert_close(
        torch.stack([right, left]), torch.tensor([[84.0, 122.0], [172.0, 122.0]]), atol=4, rtol=0
    )
    assert (points[:, 8, 1] > 200).all()


def test_points_scale_with_the_picture(faces, judge) -> None:
    small, large = judge("dlib68")(faces[:4]), judge("dlib68")(resize(faces[:4], 512))
    assert (small * 4 - large).abs().mean() < 4


def test_the_detector_finds_faces_and_nothing_in_noise(faces, judge) -> None:
    noise = torch.rand(4, 3, 128, 128, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert judge("dlib68").detects(faces).float().mean() > 0.9
    assert not judge("dlib68").detects(noise).any()


@pytest.fixture(scope="module")
def orl(data_dir: Path) -> tuple[Tensor, Tensor]:
    """The first pictures of the first people in ORL, aligned, and their labels."""
    people, pictures = (int(os.environ.get(f"HSC_ORL_{what}", n)) for what, n in (("PEOPLE", 10), ("PICTURES", 3)))
    faces, aligner, found = open_faces(data_dir / "orl.zip"), Aligner(), {}
    for name in faces.names:
        person, picture = (int(part) for part in re.findall(r"\d+", name))
        if person <= people and picture <= pictures:
            with suppress(HscError):  # no face found
                found[name] = to_tensor(aligner.align(faces.load(name), 256)), person
    assert len(found) >= 0.95 * people * pictures
    images, labels = zip(*found.values(), strict=True)
    return torch.stack(images), torch.tensor(labels)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least_auc", "least_rank1"),
    [("dlib", 0.999, 0.98), ("identity_student", 0.97, 0.9), ("faceres", 0.99, 0.98)],
)
def test_it_tells_the_people_of_orl_apart(
    name: str, least_auc: float, least_rank1: float, orl: tuple[Tensor, Tensor], judge
) -> None:
    """HSC_ORL_PEOPLE=40 HSC_ORL_PICTURES=10 runs the whole set."""
    images, labels = orl
    descriptors = torch.cat([judge(name)(part) for part in images.split(8)])
    scores = verification_scores(descriptors, descriptors, labels)
    print(f"{name}, {len(images)} aligned pictures of ORL: AUC {scores.auc:.4f}, rank-1 {scores.identified:.3f}")
    assert scores.auc >= least_auc
    assert scores.identified >= least_rank1
