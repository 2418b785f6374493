"""The shipped student: its properties, its agreement with the teacher, and its use as a loss."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pictures import write_pictures
from PIL import Image
from programs import definitions
from torch import Tensor

from hsc.data.faces import open_faces
from hsc.errors import HscError
from hsc.files import sha256
from hsc.images import resize
from hsc.judges import Judge, faceres_net, load_judge
from hsc.judges.identity_student import WEIGHTS, IdentityNet

STUDENT = "identity_student"


@pytest.fixture(scope="module")
def recipe() -> SimpleNamespace:
    """The script that trained the weights."""
    return definitions("experiments/distil_identity.py")


def test_it_is_small_and_its_card_names_the_file() -> None:
    student = load_judge(STUDENT)
    assert sum(parameter.numel() for parameter in student.parameters()) < 1_200_000
    assert WEIGHTS.stat().st_size < 2_500_000
    assert sha256(WEIGHTS) in WEIGHTS.with_suffix(".md").read_text()


def test_descriptors_are_unit_vectors_at_any_size(faces) -> None:
    student = load_judge(STUDENT)
    descriptors = student(faces)
    assert descriptors.shape == (12, 128)
    torch.testing.assert_close(descriptors.norm(dim=1), torch.ones(12))
    assert F.cosine_similarity(descriptors, student(resize(faces, 256))).min() > 0.97


def test_a_blurred_face_stays_nearest_to_its_own_original(faces) -> None:
    student = load_judge(STUDENT)
    cosines = student(resize(resize(faces, 40), 128)) @ student(faces).t()
    assert cosines.argmax(1).tolist() == list(range(12))


def test_the_more_a_face_is_blurred_the_farther_it_is(faces) -> None:
    student = load_judge(STUDENT)
    original = student(faces)
    means = [
        (1 - F.cosine_similarity(student(resize(resize(faces, size), 128)), original)).mean() for size in (64, 32, 16)
    ]
    assert means == sorted(means)


def test_following_its_gradient_moves_a_face_towards_another(faces) -> None:
    student = load_judge(STUDENT)
    image, target = faces[:2].clone().requires_grad_(), student(faces[2:4])
    before = (1 - F.cosine_similarity(student(image), target)).sum()
    (gradient,) = torch.autograd.grad(before, image)
    after = (1 - F.cosine_similarity(student(image - 0.5 * gradient / gradient.norm()), target)).sum()
    assert gradient.isfinite().all()
    assert after < 0.99 * before


def test_it_sees_different_people_as_its_teacher_does(faces, judge) -> None:
    def centred(descriptors: Tensor) -> Tensor:
        pairs = torch.triu_indices(len(faces), len(faces), 1)
        unit = F.normalize(descriptors - descriptors.mean(0))
        return (unit @ unit.t())[pairs[0], pairs[1]]

    both = torch.stack([centred(load_judge(STUDENT)(faces)), centred(judge("faceres")(faces))])
    assert torch.corrcoef(both)[0, 1] > 0.6


def test_folding_batch_normalisation_changes_nothing(recipe) -> None:
    torch.manual_seed(0)
    net = IdentityNet(norm=True)
    x = torch.randn(8, 3, 64, 64)
    for _ in range(3):
        net(x * 2 + 1)
    torch.testing.assert_close(net.eval()(x), recipe.fold(net)(x), atol=1e-4, rtol=1e-3)


def test_faceres_reads_the_numbers_in_their_order() -> None:
    numbers = faceres_net._HEADS + 3_206_976 + 21_888 + 54 + 9 * 4960
    content = np.zeros(numbers, np.float16).tobytes()
    with pytest.raises(HscError, match="not the weights of faceres"):
        faceres_net.from_tensorflow_js(content[: len(content) // 2])


def test_degraded_pictures_are_worse_and_repeatable(recipe) -> None:
    ramp = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    picture = Image.fromarray(ramp * 2).convert("RGB")
    for seed in range(8):
        worse = [np.asarray(recipe.degrade(picture, np.random.default_rng(seed))) for _ in range(2)]
        np.testing.assert_array_equal(*worse)
        assert worse[0].shape == (64, 64, 3)
        assert (worse[0] != np.asarray(picture)).any()


class Colours(Judge):
    """A teacher whose descriptors are mean colours."""

    name = family = "colours"
    kind = "recogniser"

    def forward(self, image: Tensor) -> Tensor:
        return F.normalize(F.avg_pool2d(image, 16).flatten(1) + 0.1)


def test_a_student_learns_what_its_teacher_says(recipe, tmp_path: Path) -> None:
    torch.manual_seed(0)
    write_pictures(tmp_path / "faces", 160, 128, squares=8, digits=5)
    splits = (open_faces(tmp_path / "faces", split) for split in ("00000-00143", "00144-00159"))
    taught, held_out = (recipe.seen_by(Colours(), faces, 0) for faces in splits)
    mean, basis = recipe.principal(taught[1][:, 0])
    report = recipe.agreement(recipe.fold(recipe.learn(taught, mean, basis, 30)), held_out, mean, basis)
    assert report["faces"] == 16
    assert report["target_cosine"] > 0.05  # at most 0.02 for unrelated vectors
    assert report["same_nearest_teacher"] > 0.5
