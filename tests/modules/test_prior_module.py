"""A step of the prior's training: two networks learn, the penalty comes in its turn, augmentation adapts."""

from collections.abc import Callable

import pytest
import torch
from tiny_model import tiny_config

from hsc.config.schema import AdversarialConfig
from hsc.losses import load_losses
from hsc.modules.prior import PriorModule

EVERYTHING = ["encoder", "heads", "generator", "mapping", "discriminator"]


def module(train: list[str] = EVERYTHING, **adversarial) -> PriorModule:
    torch.manual_seed(0)
    settings = AdversarialConfig(**adversarial)
    config = tiny_config(module="prior", train=train, adversarial=settings, log_every=1)
    return PriorModule(config, config.stages["only"], load_losses(["l2"]))


def moved(prior: PriorModule, before: dict[str, torch.Tensor]) -> set[str]:
    """Which parts changed."""
    now = {name: dict(part.named_parameters()) for name, part in prior.parts().items()}
    return {part for part, own in now.items() if any(not torch.equal(p, before[f"{part}.{n}"]) for n, p in own.items())}


def state(prior: PriorModule) -> dict[str, torch.Tensor]:
    return {f"{part}.{n}": p.detach().clone() for part, net in prior.parts().items() for n, p in net.named_parameters()}


def test_one_batch_moves_every_part(fit: Callable):
    prior = module()
    before = state(prior)
    generator, discriminator = fit(prior).steps
    assert moved(prior, before) == set(EVERYTHING)
    assert all(name.startswith("decoder.discriminator.") for name in discriminator)
    assert not any(name.startswith("decoder.discriminator.") for name in generator)
    for gradients in (generator, discriminator):
        assert all(value == value and value < float("inf") for value in gradients.values())
        assert max(gradients.values()) > 0
    assert prior.decoder.generator.mean_w.abs().max() > 0


def test_frozen_parts_stay(fit: Callable):
    prior = module(train=["generator", "discriminator"])
    before = state(prior)
    fit(prior, batches=2)
    assert moved(prior, before) == {"generator", "discriminator"}


def test_without_adversary_only_reconstruction_learns(fit: Callable):
    prior = module(weight=0.0, r1_every=1)
    before = state(prior)
    assert len(fit(prior, batches=1).steps) == 2  # two batches of one optimiser each
    assert moved(prior, before) == {"encoder", "heads", "generator"}


def test_penalty_comes_every_so_many_steps_with_augmentation_on(fit: Callable):
    prior = module(r1_every=2, r1_gamma=10.0)
    prior.augmentation.fill_(0.9)
    seen = []
    original = prior._r1
    prior._r1 = lambda real: seen.append((int(prior.batches_seen), penalty := original(real))) or penalty
    gradients = fit(prior, batches=4).steps
    assert [step for step, _ in seen] == [0, 2]
    assert all(penalty.isfinite() and penalty > 0 for _, penalty in seen)
    assert all(value == value and value < float("inf") for step in gradients for value in step.values())


def test_penalty_is_the_squared_gradient():
    prior = module()
    real = torch.rand(4, 3, 32, 32) * 2 - 1
    logits = prior._discriminator
    (gradient,) = torch.autograd.grad(logits(real.requires_grad_()).sum(), real)
    with torch.no_grad():  # the slope along a gradient is its length
        step = 1e-3 * gradient / gradient.norm()
        slope = float((logits(real + step) - logits(real - step)).sum() / 2e-3)
    assert float(prior._r1(real).detach()) == pytest.approx(slope**2 / len(real), rel=2e-2)


@pytest.mark.parametrize(("bias", "direction"), [(100.0, 1), (-100.0, -1)])
def test_augmentation_follows_the_discriminator(fit: Callable, bias: float, direction: int):
    """Certain that everything is real: it has learnt its images by heart, so p rises; otherwise it falls."""
    prior = module(ada_kimg=0.1)
    prior.augmentation.fill_(0.5)
    with torch.no_grad():
        prior.decoder.discriminator.out.bias.fill_(bias)
    fit(prior, batches=2)
    assert float(prior.augmentation) == pytest.approx(0.5 + direction * 2 * 2 / 100)  # two images of each batch


def test_generated_faces_are_the_same_at_every_call():
    prior = module().eval()
    first, again = (prior.generated_samples(3) for _ in range(2))
    assert first.shape == (3, 3, 32, 32)
    assert torch.equal(first, again)


def test_validation_shows_reconstructions():
    prior = module().eval()
    output = prior.validation_step({"image": torch.zeros(2, 3, 48, 48), "name": ["a", "b"]}, 0)
    assert list(output.layers) == ["enhanced"]
    assert output.layers["enhanced"].images.shape == (2, 3, 48, 48)
    assert output.layers["enhanced"].bits_estimated.isnan().all()
    assert not output.symbols
