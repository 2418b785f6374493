"""A training step of the prior: two networks learn, the penalty is applied at its interval, augmentation adapts."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny_model import tiny_config

from hsc.config.schema import AdversarialConfig
from hsc.modules.batch_slice import WHOLE_BATCH, BatchSlice
from hsc.modules.prior import PriorModule
from hsc.nets.discriminator import r1_penalty

EVERYTHING = ["generator", "mapping", "discriminator"]


def module(train: list[str] = EVERYTHING, accumulate: int = 1, **adversarial) -> PriorModule:
    torch.manual_seed(0)
    settings = AdversarialConfig(**adversarial)
    config = tiny_config(module="prior", train=train, adversarial=settings, log_every=1, accumulate=accumulate)
    return PriorModule(config, config.stages["only"], {})


def moved(prior: PriorModule, before: dict[str, torch.Tensor]) -> set[str]:
    """The names of the parts that changed."""
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


def test_penalty_comes_every_so_many_steps_with_augmentation_on(fit: Callable, monkeypatch: pytest.MonkeyPatch):
    prior = module(r1_every=2, r1_gamma=10.0)
    prior.augmentation.fill_(0.9)
    seen = []

    def noted(*given: Any) -> torch.Tensor:
        seen.append((int(prior.batches_seen), penalty := r1_penalty(*given)))
        return penalty

    monkeypatch.setattr("hsc.modules.adversary.r1_penalty", noted)
    gradients = fit(prior, batches=4).steps
    assert [step for step, _ in seen] == [0, 2]
    assert all(penalty.isfinite() and penalty > 0 for _, penalty in seen)
    assert all(value == value and value < float("inf") for step in gradients for value in step.values())


def test_penalty_is_the_squared_gradient():
    prior = module()
    real = torch.rand(4, 3, 32, 32) * 2 - 1
    logits = prior.discriminator
    (gradient,) = torch.autograd.grad(logits(real.requires_grad_()).sum(), real)
    with torch.no_grad():  # the slope along the gradient is its norm
        step = 1e-3 * gradient / gradient.norm()
        slope = float((logits(real + step) - logits(real - step)).sum() / 2e-3)
    assert float(r1_penalty(logits, real).detach()) == pytest.approx(slope**2 / len(real), rel=2e-2)


@pytest.mark.parametrize(("bias", "direction"), [(100.0, 1), (-100.0, -1)])
def test_augmentation_follows_the_discriminator(fit: Callable, bias: float, direction: int):
    """A discriminator that takes everything for real has memorised its images, so p rises; otherwise p falls."""
    prior = module(ada_kimg=0.1)
    prior.augmentation.fill_(0.5)
    with torch.no_grad():
        prior.decoder.discriminator.out.bias.fill_(bias)
    fit(prior, batches=2)
    assert float(prior.augmentation) == pytest.approx(0.5 + direction * 2 * 4 / 100)  # four images of each batch


def test_generated_faces_are_the_same_at_every_call():
    prior = module().eval()
    first, again = (prior.generated_samples(3) for _ in range(2))
    assert first.shape == (3, 3, 32, 32)
    assert torch.equal(first, again)


def test_validation_decodes_nothing():
    assert module().validation_step({"image": torch.zeros(2, 3, 32, 32), "name": ["a", "b"]}, 0).layers == {}


@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_frozen_blocks_of_the_discriminator_stay(fit: Callable, blocks: int):
    prior = module(freeze_blocks=blocks, r1_every=1)
    before = {name: value.clone() for name, value in prior.discriminator.named_parameters()}
    fit(prior, batches=3)
    changed = {name for name, value in prior.discriminator.named_parameters() if not torch.equal(value, before[name])}
    frozen = {
        name
        for name in before
        if blocks and name.startswith(("from_rgb.", *(f"blocks.{block}." for block in range(blocks))))
    }
    assert changed == before.keys() - frozen


def test_path_lengths_come_every_so_many_steps_and_their_mean_follows(fit: Callable):
    prior = module(path_weight=2.0, path_every=2)
    seen = []
    original = prior._path_penalty

    def penalty(n: int, random: torch.Generator, batch_slice: BatchSlice, values: dict) -> torch.Tensor:
        value = original(n, random, batch_slice, values)
        seen.append(("adversarial/path_length" in values, value.item()))
        return value

    prior._path_penalty = penalty
    gradients = fit(prior, batches=4).steps
    assert [due for due, _ in seen] == [True, False, True, False]
    assert all((value > 0) == due for due, value in seen)
    assert 0 < float(prior.path_length) < 1e3
    assert all(value == value and value < float("inf") for step in gradients for value in step.values())


def test_path_length_is_the_slope_of_the_image_along_the_styles():
    """The gradient norm in each row, for the noise that the penalty drew, compared with finite differences."""
    prior = module(path_weight=2.0).eval()
    prior._trainer = type("Alone", (), {"world_size": 1})()
    generator = prior.generator
    styles = torch.randn(2, generator.num_rows, generator.w_dim)
    prior._random_styles = lambda *_: styles.clone().requires_grad_()
    values: dict[str, torch.Tensor] = {}
    random = torch.Generator().manual_seed(3)
    prior._path_penalty(4, random, WHOLE_BATCH, values)
    noise = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(3)) / 32
    precise = generator.double()

    def along(ws: torch.Tensor) -> torch.Tensor:
        return (precise.synthesis(ws) * noise.double()).sum((1, 2, 3))

    with torch.no_grad():
        base, step = styles.double(), 1e-5
        slopes = torch.zeros(styles.shape, dtype=torch.float64)
        for row in range(generator.num_rows):
            for column in range(generator.w_dim):
                nudge = torch.zeros_like(base)
                nudge[:, row, column] = step
                slopes[:, row, column] = (along(base + nudge) - along(base - nudge)) / (2 * step)
    expected = slopes.square().sum(2).mean(1).sqrt().mean()
    assert float(values["adversarial/path_length"]) == pytest.approx(float(expected), rel=1e-3)


def test_collapsed_fakes_are_seen_as_such(fit: Callable):
    """The discriminator gets the deviation among real images and the deviation among generated ones separately."""
    prior = module(ada_target=0.0)
    picture = torch.nn.Parameter(torch.zeros(1, 3, 32, 32))
    prior.decoder.generator.synthesis = lambda styles, **_: picture.expand(len(styles), -1, -1, -1)
    deviations = []

    def note(conv: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        if conv.weight.requires_grad:  # the discriminator's own step
            deviations.append(inputs[0][:, -1].detach())

    prior.discriminator.conv.register_forward_pre_hook(note)
    fit(prior)
    real, fake = deviations[0], deviations[1]
    assert fake.max() < 1e-3 < 1e-2 < real.min()


def test_a_step_in_parts_learns_the_same(fit: Callable):
    """Statistics over the images of a batch are switched off, because they differ in parts of a batch."""
    whole, parts = (module(accumulate=accumulate, r1_every=2, ada_kimg=0.05) for accumulate in (1, 2))
    for prior in (whole, parts):
        prior.discriminator.group_size = 1
        prior.augmentation.fill_(0.8)
        fit(prior, batches=4)
    assert (whole.step, parts.step) == (4, 4)
    assert float(parts.augmentation) == float(whole.augmentation) != pytest.approx(0.8)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[name], value, rtol=1e-3, atol=2e-4, msg=name)


def test_the_discriminator_has_betas_of_its_own(fit: Callable):
    prior = module(betas=[0.5, 0.9])
    fit(prior)
    generator, discriminator = prior.players
    assert [group["betas"] for group in discriminator.param_groups] == [(0.5, 0.9)]
    assert generator.param_groups[0]["betas"] == (0.9, 0.99)


@pytest.fixture
def projected(plain_features: None) -> Callable[..., PriorModule]:
    return lambda **settings: module(discriminator="projected", **settings)


def test_against_a_projected_discriminator(fit: Callable, projected: Callable, monkeypatch: pytest.MonkeyPatch):
    """The same two steps with the hinge loss and no penalty; the feature mixing stays fixed."""
    monkeypatch.setattr("hsc.modules.adversary.r1_penalty", lambda *_: pytest.fail("no penalty was to be computed"))
    prior = projected(r1_every=1)
    before, mixing = state(prior), {name: value.clone() for name, value in prior.discriminator.named_buffers()}
    generator, discriminator = fit(prior).steps
    assert moved(prior, before) == set(EVERYTHING)
    assert all(name.startswith("decoder.discriminator.heads.") for name in discriminator)
    assert not any(name.startswith("decoder.discriminator.") for name in generator)
    kept = {name for name in mixing if name.startswith(("channels", "scales"))}
    assert len(kept) == 7
    assert all(torch.equal(value, mixing[name]) for name, value in prior.discriminator.named_buffers() if name in kept)
    assert not float(prior.augmentation)


def test_the_hinge_loss_stops_where_the_discriminator_is_sure(projected: Callable):
    prior = projected()
    prior.adversary.discriminator = lambda images: torch.full((len(images), 5), 2.0)
    images, random = torch.zeros(2, 3, 32, 32), torch.Generator()
    assert float(prior.adversary.generator_loss(images, prior.augmentation, random, WHOLE_BATCH)) == -2
    total, values = prior.adversary.discriminator_loss(images, images, prior.augmentation, random, WHOLE_BATCH, 0)
    assert float(total) == 0 + 3  # no loss for real images; generated ones are 3 above -1
    assert (float(values["real"]), float(values["fake"])) == (2, 2)
