"""Adaptive augmentation: identity at p = 0, differentiable at p = 1, and a controller that moves p the right way."""

import pytest
import torch

from hsc.config.schema import AdversarialConfig
from hsc.modules.adversary import NonSaturating
from hsc.modules.augment import augment, diff_augment
from hsc.modules.batch_slice import BatchSlice


def images(n: int = 16) -> torch.Tensor:
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def adapted(target: float, kimg: float, sign: float, images: int, times: int = 1) -> float:
    """p after `times` steps from ½."""
    p = torch.tensor(0.5)
    adversary = NonSaturating(torch.nn.Identity(), AdversarialConfig(ada_target=target, ada_kimg=kimg))
    for _ in range(times):
        adversary.adapt(p, torch.tensor(sign), images)
    return float(p)


def test_nothing_happens_at_zero():
    torch.testing.assert_close(augment(images(), torch.tensor(0.0), random()), images(), atol=1e-5, rtol=1e-5)


def test_everything_changes_at_one_and_stays_differentiable():
    x = images().double().float().requires_grad_()
    augmented = augment(x, torch.tensor(1.0), random())
    assert augmented.shape == x.shape
    assert augmented.isfinite().all()
    assert ((augmented - x).abs().amax((1, 2, 3)) > 0.05).all()
    (gradient,) = torch.autograd.grad(augmented.square().sum(), x, create_graph=True)
    assert (gradient.abs().amax((1, 2, 3)) > 0).all()
    # R1 differentiates once more.
    (second,) = torch.autograd.grad(gradient.square().sum(), x)
    assert second.isfinite().all()


def test_shapes_are_stretched_along_the_axes_of_the_image(monkeypatch: pytest.MonkeyPatch):
    """Then turned: a shear would be another family of augmentations."""
    maps: list[torch.Tensor] = []
    grid = torch.nn.functional.affine_grid
    monkeypatch.setattr(
        "hsc.modules.augment.F.affine_grid", lambda theta, *a, **k: maps.append(theta) or grid(theta, *a, **k)
    )
    augment(images(), torch.tensor(1.0), random())
    x, y = maps[0][..., 0], maps[0][..., 1]
    assert (torch.nn.functional.cosine_similarity(x, y).abs() < 1e-5).all()
    assert ((x.norm(dim=1) / y.norm(dim=1)).log().abs() > 1e-3).all()


def test_p_is_the_share_of_images_that_a_transform_reaches():
    """Nine transforms are always visible and two half the time, so at p = 0.1 a share of 0.9⁹·0.95² stays unchanged."""
    x = images(512)
    untouched = ((augment(x, torch.tensor(0.1), random()) - x).abs().amax((1, 2, 3)) < 1e-4).float().mean()
    assert float(untouched) == pytest.approx(0.35, abs=0.07)


@pytest.mark.parametrize("how", [lambda x, generator: augment(x, torch.tensor(0.5), generator), diff_augment])
def test_same_random_numbers_same_images(how):
    first, again, other = (how(images(), random(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(("sign", "expected"), [(0.9, 0.54), (0.2, 0.46)])
def test_controller_moves_p_by_the_images_seen(sign: float, expected: float):
    assert adapted(0.6, 1.0, sign, images=40) == pytest.approx(expected)


def test_controller_keeps_p_a_probability():
    assert adapted(0.6, 0.01, sign=1.0, images=8, times=3) == 1.0
    assert adapted(0.6, 0.01, sign=-1.0, images=8, times=3) == 0.0


def test_a_target_of_zero_turns_it_off():
    assert adapted(0.0, 1.0, sign=1.0, images=400) == 0.5


def test_diff_augment_changes_every_image_and_is_differentiable():
    x = images().requires_grad_()
    first = diff_augment(x, random())
    assert ((first - x).abs().amax((1, 2, 3)) > 0.05).all()
    (gradient,) = torch.autograd.grad(first.square().sum(), x)
    assert (gradient.abs().amax((1, 2, 3)) > 0).all()


def test_diff_augment_cuts_out_a_quarter_at_most_and_shifts_by_an_eighth_at_most():
    augmented = diff_augment(torch.full((256, 3, 16, 16), 5.0), random())
    grey = (augmented == 0).all(1).float().mean((1, 2))
    assert float(grey.max()) <= 1 - (3 / 4) * (7 / 8) ** 2 + 0.1
    assert 0.1 < float(grey.mean()) < 0.45


@pytest.mark.parametrize("how", [lambda x, *rest: augment(x, torch.tensor(0.8), *rest), diff_augment])
def test_shares_of_a_batch_are_augmented_as_the_whole(how):
    x = images(8)
    whole = how(x, random(), BatchSlice())
    for place in range(2):
        batch_slice = BatchSlice(place, 2)
        torch.testing.assert_close(
            how(batch_slice.of(x), random(), batch_slice), batch_slice.of(whole), rtol=1e-5, atol=1e-5
        )
