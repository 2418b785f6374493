"""A codec stage that trains a discriminator: both players learn from one pass of the generator."""

from collections.abc import Callable

import pytest
import torch
from random_faces import batch_of
from tiny_model import tiny_config

from hsc.config.schema import AdversarialConfig
from hsc.losses import load_losses
from hsc.modules.codec import CodecModule
from hsc.modules.rate_distortion import Prefix

EVERYTHING = ["encoder", "gain", "entropy", "heads", "generator", "discriminator"]
KINDS = ("stylegan2", "projected")

pytestmark = pytest.mark.usefixtures("plain_features")


def module(kind: str = "projected", train: list[str] = EVERYTHING, weight: float = 1.0, **stage) -> CodecModule:
    torch.manual_seed(0)
    adversarial = AdversarialConfig(discriminator=kind, weight=weight, r1_every=2, ada_kimg=0.05)
    config = tiny_config(train=train, adversarial=adversarial, log_every=1, **stage)
    return CodecModule(config, config.stages["only"], load_losses(["l2"]))


def parameters(codec: CodecModule) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in codec.named_parameters()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("quantise", ["noise", "none"])
def test_both_players_learn(fit: Callable, kind: str, quantise: str):
    codec = module(kind, quantise=quantise)
    before = parameters(codec)
    generator, discriminator = fit(codec).steps
    assert not any(name.startswith("decoder.discriminator.") for name in generator)
    assert all(name.startswith("decoder.discriminator.") for name in discriminator)
    for gradients in (generator, discriminator):
        assert all(value == value and value < float("inf") for value in gradients.values())
        assert max(gradients.values()) > 0
    changed = {name for name, value in codec.named_parameters() if not torch.equal(value, before[name])}
    parts = {"encoder.net.", "decoder.heads.", "decoder.generator.", "decoder.discriminator."}
    parts |= {"entropy.net.", "entropy.gain."} if quantise == "noise" else set()
    assert all(any(name.startswith(part) for name in changed) for part in parts)
    logged = {
        name.removeprefix("train/adversarial/") for name in codec.trainer.callback_metrics if "adversarial" in name
    }
    of_kind = {"augmentation", "r1"} if kind == "stylegan2" else set()
    assert logged == {"generator", "discriminator", "real", "fake", "sign"} | of_kind


@pytest.mark.parametrize("prefixes", ["all", "sample"])
def test_the_discriminator_sees_what_the_step_decoded_and_its_originals(fit: Callable, prefixes: str):
    codec = module(prefixes=prefixes)
    decoded, seen = [], []
    synthesis, judgement = codec.decoder.generator.synthesis, codec.adversary.discriminator_loss

    def noted(*given, **named):
        decoded.append(synthesis(*given, **named))
        return decoded[-1]

    codec.decoder.generator.synthesis = noted
    codec.adversary.discriminator_loss = lambda *given: seen.append(given[:2]) or judgement(*given)
    fit(codec)
    ((real, generated),) = seen
    (images,) = decoded  # in one pass
    assert torch.equal(real, batch_of(0)["image"])
    assert not generated.requires_grad
    assert len(images) == {"all": 12, "sample": 4}[prefixes]
    assert torch.equal(generated.flatten(1).sum(1).sort().values, images.detach().flatten(1).sum(1).sort().values)


def test_images_of_one_prefix_each_are_in_the_order_of_the_batch():
    codec = module()
    images = torch.arange(5.0)[:, None, None, None].expand(-1, 3, 2, 2)
    chosen = [torch.tensor([1, 4]), torch.tensor([], dtype=torch.long), torch.tensor([0, 2, 3])]
    prefixes = [Prefix("layer", index, 1.0, torch.empty(len(index)), images[index], len(index)) for index in chosen]
    assert torch.equal(codec._all_images(prefixes), images)


def test_generator_loss_counts_by_its_weight(fit: Callable):
    """The logged objective is that of the codec alone plus the weighted adversarial loss."""
    plain, adversarial = module(train=EVERYTHING[:-1], quantise="round"), module(weight=3.0, quantise="round")
    logged = []
    for codec in (plain, adversarial):
        fit(codec)
        logged.append({name: float(value) for name, value in codec.trainer.callback_metrics.items()})
    alone, both = logged
    assert both["train/objective"] == pytest.approx(
        alone["train/objective"] + 3 * both["train/adversarial/generator"], rel=1e-4
    )
    assert both["train/enhanced/l2"] == pytest.approx(alone["train/enhanced/l2"], rel=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stage", [{"prefixes": "sample"}, {"prefixes": "all"}, {"quantise": "none"}])
def test_a_step_in_parts_learns_the_same(fit: Callable, kind: str, stage: dict[str, str]):
    whole, parts = (module(kind, accumulate=accumulate, **stage) for accumulate in (1, 2))
    for codec in (whole, parts):
        codec.discriminator.group_size = 1  # a single image has no deviation among images
        fit(codec, batches=2)
    assert (whole.step, parts.step) == (2, 2)
    logged, expected = ({n: float(v) for n, v in c.trainer.callback_metrics.items()} for c in (parts, whole))
    assert logged == pytest.approx(expected, rel=1e-3, abs=1e-5)
    for name, value in whole.state_dict().items():  # where gradients vanish, Adam amplifies rounding errors
        torch.testing.assert_close(parts.state_dict()[name], value, rtol=1e-3, atol=5e-4, msg=name)


def test_gradients_of_each_player_are_clipped(fit: Callable, monkeypatch: pytest.MonkeyPatch):
    codec, norms = module(grad_clip=0.01), []
    step = torch.optim.Adam.step

    def noted(optimizer: torch.optim.Adam, *given, **named):
        weights = [weight for group in optimizer.param_groups for weight in group["params"] if weight.grad is not None]
        norms.append(float(torch.nn.utils.get_total_norm([weight.grad for weight in weights])))
        return step(optimizer, *given, **named)

    monkeypatch.setattr(torch.optim.Adam, "step", noted)
    fit(codec, batches=2)
    assert norms == pytest.approx([0.01] * 4, rel=1e-3)


def test_without_a_discriminator_it_is_a_stage_like_any_other(fit: Callable):
    codec = module(train=EVERYTHING[:-1])
    assert codec.decoder.discriminator is None
    assert not any("discriminator" in name or name == "augmentation" for name in codec.state_dict())
    assert len(fit(codec, batches=2).steps) == 2


@pytest.mark.parametrize(("kind", "kept"), [("stylegan2", True), ("projected", False)])
def test_only_augmentation_that_adapts_has_a_state(kind: str, kept: bool):
    assert ("augmentation" in module(kind).state_dict()) == kept
