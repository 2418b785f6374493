"""Distortion terms: their values, their gradients, and the errors when they cannot run."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from hsc.errors import HscError
from hsc.judges import NotAvailable, load_judge
from hsc.losses import Loss, load_losses, unavailable_losses

MINE = """
import torch
from hsc.judges import Judge
from hsc.losses import IdentityLoss, Loss

class MeanColour(Judge):
    name = family = "colour"
    kind = "recogniser"
    threshold = 0.1

    def forward(self, image):
        return image.mean((2, 3))

class Blind(MeanColour):
    differentiable = False

class ColourIdentity(IdentityLoss):
    name = "colour"
    judge = "my_losses:MeanColour"

class BlindIdentity(IdentityLoss):
    judge = "my_losses:Blind"

class Mine(Loss):
    name = "mine"

    def forward(self, image, original, landmarks=None):
        return (image - original).abs().mean((1, 2, 3))
"""


@pytest.fixture
def my_losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_losses.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture
def originals() -> Tensor:
    """Smooth pictures on which face networks can run; no test here needs real faces."""
    coarse = torch.rand(3, 3, 6, 6, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=(48, 48), mode="bilinear")


def loss(name: str) -> Loss:
    try:
        return load_losses([name])[name]
    except NotAvailable as reason:
        pytest.skip(str(reason))


def test_l2_is_the_mean_squared_error_of_each_image(originals) -> None:
    image = originals + torch.tensor([0.0, 0.1, 0.5])[:, None, None, None]
    torch.testing.assert_close(loss("l2")(image, originals), torch.tensor([0.0, 0.01, 0.25]))


@pytest.mark.parametrize("name", ["l2", "lpips", "lpips_vgg", "dists", "dists_lite0", "landmarks", "identity"])
def test_a_term_is_zero_at_the_original_and_falls_along_its_gradient(name: str, originals) -> None:
    term = loss(name)
    assert term.name == name
    torch.testing.assert_close(term(originals, originals), torch.zeros(3), atol=1e-5, rtol=0)
    noise = torch.randn(originals.shape, generator=torch.Generator().manual_seed(1))
    image = (originals + 0.3 * noise).requires_grad_()
    distances = term(image, originals)
    (gradient,) = torch.autograd.grad(distances.sum(), image)
    assert distances.shape == (3,)
    assert (distances > 0).all()
    assert gradient.isfinite().all()
    assert term(image - 0.1 * gradient / gradient.norm(), originals).sum() < distances.sum()


def test_images_do_not_influence_each_other(originals) -> None:
    noise = torch.randn(originals.shape, generator=torch.Generator().manual_seed(1))
    for name in ("l2", "landmarks", "identity"):
        together = loss(name)(originals + 0.2 * noise, originals)
        alone = [loss(name)(originals[i : i + 1] + 0.2 * noise[i : i + 1], originals[i : i + 1]) for i in range(3)]
        torch.testing.assert_close(together, torch.cat(alone), atol=1e-4, rtol=1e-3)


def test_landmarks_measures_in_units_of_the_eyes_distance(originals) -> None:
    judge = load_judge("facemesh")
    points = judge(originals)
    eyes = torch.linalg.vector_norm(points[:, 33] - points[:, 263], dim=-1)
    moved = points + torch.tensor([3.0, 4.0])
    # Every landmark is 5 pixels off; shifting all of them does not change the distance of the eyes.
    torch.testing.assert_close(loss("landmarks")(originals, originals, moved), 5 / eyes)


def test_cached_landmarks_give_what_finding_them_gives(originals) -> None:
    term = loss("landmarks")
    assert term.needs_landmarks
    image = originals.flip(0)
    torch.testing.assert_close(term(image, originals, load_judge("facemesh")(originals)), term(image, originals))


def test_terms_leave_nothing_in_checkpoints() -> None:
    terms = torch.nn.ModuleDict({name: loss(name) for name in ("l2", "lpips", "landmarks", "identity")})
    assert terms.state_dict() == {}
    assert list(terms.parameters()) == []


def test_identity_is_one_minus_the_cosine_of_a_users_recogniser(my_losses) -> None:
    (term,) = load_losses(["my_losses:ColourIdentity"]).values()
    red, grey = torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4, requires_grad=True)
    red[:, 0] = 0.5
    distance = term(grey, red)
    torch.testing.assert_close(distance, torch.tensor([1 - 3**-0.5]))
    (gradient,) = torch.autograd.grad(distance.sum(), grey)
    assert gradient[0, 0].sum() < 0 < gradient[0, 1].sum()


def test_a_recogniser_without_gradients_cannot_teach(my_losses) -> None:
    assert "not differentiable" in unavailable_losses(["my_losses:BlindIdentity"])["my_losses:BlindIdentity"]


def test_a_users_own_term_is_named_by_its_path(my_losses, originals) -> None:
    (term,) = load_losses(["my_losses:Mine"]).values()
    torch.testing.assert_close(term(originals + 0.25, originals), torch.full((3,), 0.25))


def test_an_unknown_term_lists_those_there_are() -> None:
    named = "l1, l2, lpips, lpips_128, lpips_vgg, dists, dists_lite0, landmarks, identity, faceres and arcface"
    with pytest.raises(HscError, match=f"unknown loss 'ssim'; there are {named}"):
        load_losses(["ssim"])


def test_missing_weights_make_a_term_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSC_CACHE", str(tmp_path))
    from hsc import judges

    judges._load.cache_clear()
    reasons = unavailable_losses(["l2", "lpips", "landmarks"])
    assert list(reasons) == ["lpips"]
    assert "hsc weights fetch alexnet" in reasons["lpips"]
