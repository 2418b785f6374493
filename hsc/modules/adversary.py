"""Adversarial training: the losses of generator and discriminator, augmentation, and the order of their updates."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsc.config import Config, StageConfig
from hsc.config.schema import AdversarialConfig
from hsc.losses import Loss
from hsc.modules.augment import augment, diff_augment
from hsc.modules.base import TrainableModule, pair
from hsc.modules.batch_slice import BatchSlice
from hsc.nets.discriminator import Discriminator, r1_penalty

GENERATOR, DISCRIMINATOR = 0, 1  # the players: index of the optimiser, and purpose of a step's random numbers


class DiscriminatorLoss(NamedTuple):
    """The discriminator's loss, and the values to log, by name."""

    total: Tensor
    values: dict[str, Tensor]


class NonSaturating:
    """The non-saturating loss with lazy R1 (Mescheder et al. 2018) and adaptive augmentation (Karras et al. 2020).

    The argument `p` is the probability of augmentation, []. Real and generated images go through the discriminator in
    separate calls: statistics over a batch that mixes them would be the same for both, and a collapsed generator would
    go unnoticed.
    """

    def __init__(self, discriminator: nn.Module, config: AdversarialConfig) -> None:
        self.discriminator, self.config = discriminator, config

    def generator_loss(self, generated: Tensor, p: Tensor, random: torch.Generator, batch_slice: BatchSlice) -> Tensor:
        """The generator's loss on this slice [N, 3, H, W] of a step's images."""
        return F.softplus(-self.discriminator(self._augmented(generated, p, random, batch_slice))).mean()

    def discriminator_loss(
        self, real: Tensor, generated: Tensor, p: Tensor, random: torch.Generator, batch_slice: BatchSlice, step: int
    ) -> DiscriminatorLoss:
        """The discriminator's loss on this slice of a step's images, both [N, 3, H, W]."""
        real, generated = (self._augmented(images, p, random, batch_slice) for images in (real, generated))
        logits_real, logits_fake = self.discriminator(real), self.discriminator(generated)
        total = F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()
        values = {"discriminator": total.detach(), **means(logits_real, logits_fake), "augmentation": p.clone()}
        if step % self.config.r1_every == 0:
            penalty = r1_penalty(self.discriminator, real)
            total = total + penalty * (0.5 * self.config.r1_gamma * self.config.r1_every)
            values["r1"] = penalty.detach()
        return DiscriminatorLoss(total, values)

    def adapt(self, p: Tensor, sign: Tensor, images: int) -> None:
        """Update p in place after a step on `images` real images whose logits had the mean sign `sign` []. This keeps
        the sign at `ada_target`; p takes at least `ada_kimg` thousand images to go from 0 to 1.
        """
        if self.config.ada_target:
            step = torch.full_like(p, images / (self.config.ada_kimg * 1000))
            p.add_(torch.copysign(step, sign - self.config.ada_target)).clamp_(0, 1)

    def _augmented(self, images: Tensor, p: Tensor, random: torch.Generator, batch_slice: BatchSlice) -> Tensor:
        return augment(images, p, random, batch_slice) if self.config.ada_target else images


class Hinge:
    """The hinge loss for a projected discriminator (Sauer et al. 2021), with DiffAugment and no penalty."""

    def __init__(self, discriminator: nn.Module, config: AdversarialConfig) -> None:
        self.discriminator = discriminator

    def generator_loss(self, generated: Tensor, p: Tensor, random: torch.Generator, batch_slice: BatchSlice) -> Tensor:
        """The generator's loss on this slice [N, 3, H, W] of a step's images."""
        return -self.discriminator(diff_augment(generated, random, batch_slice)).mean()

    def discriminator_loss(
        self, real: Tensor, generated: Tensor, p: Tensor, random: torch.Generator, batch_slice: BatchSlice, step: int
    ) -> DiscriminatorLoss:
        """The discriminator's loss on this slice of a step's images, both [N, 3, H, W]."""
        logits_real, logits_fake = (
            self.discriminator(diff_augment(images, random, batch_slice)) for images in (real, generated)
        )
        total = F.relu(1 - logits_real).mean() + F.relu(1 + logits_fake).mean()
        return DiscriminatorLoss(total, {"discriminator": total.detach(), **means(logits_real, logits_fake)})

    def adapt(self, p: Tensor, sign: Tensor, images: int) -> None:
        """Does nothing: the augmentation is fixed."""


Adversary = NonSaturating | Hinge


def build_adversary(discriminator: nn.Module, config: AdversarialConfig) -> Adversary:
    """The losses for the configured kind of discriminator."""
    kind = Hinge if config.discriminator == "projected" else NonSaturating
    return kind(discriminator, config)


def means(logits_real: Tensor, logits_fake: Tensor) -> dict[str, Tensor]:
    """Statistics of a discriminator's output, for logging."""
    real, fake = logits_real.detach(), logits_fake.detach()
    return {"real": real.mean(), "fake": fake.mean(), "sign": real.sign().mean()}


class AdversarialModule(TrainableModule):
    """Base of modules whose generator is trained against a discriminator in adversarial stages.

    The two players have one optimiser each, so an adversarial stage uses manual optimisation, and Lightning counts two
    steps per batch; other stages use automatic optimisation. In each micro-batch, `add_gradients` accumulates the
    gradients of the generator's side, whose total includes `generator_loss`, and `add_discriminator_gradients` those of
    the discriminator. After the last micro-batch, `update` takes the step of the generator's side and
    `update_discriminator` that of the discriminator.
    """

    augmentation: Tensor

    def __init__(self, config: Config, stage: StageConfig, losses: Mapping[str, Loss], samples_before: int = 0) -> None:
        super().__init__(config, stage, losses, samples_before)
        self.automatic_optimization = not stage.is_adversarial
        if stage.is_adversarial:
            adapts = stage.adversarial.discriminator == "stylegan2"
            self.register_buffer("augmentation", torch.zeros(()), persistent=adapts)

    @property
    def discriminator(self) -> nn.Module:
        """The discriminator of an adversarial stage."""
        raise NotImplementedError

    @cached_property
    def adversary(self) -> Adversary:
        """The losses of generator and discriminator."""
        return build_adversary(self.discriminator, self.stage.adversarial)

    def discriminator_part(self) -> dict[str, nn.Module]:
        """The discriminator among the module's parts, if there is one."""
        return {"discriminator": self.discriminator} if self.stage.is_adversarial else {}

    def generator_loss(
        self, generated: Tensor, values: dict[str, Tensor], random: torch.Generator, batch_slice: BatchSlice
    ) -> Tensor:
        """The weighted adversarial loss of this slice's images [N, 3, H, W]; adds the values to log to `values`."""
        self.discriminator.requires_grad_(False)
        self.discriminator.train(self.between_steps)  # spectral norms update once per step, not per micro-batch
        loss = self.adversary.generator_loss(generated, self.augmentation, random, batch_slice)
        values["adversarial/generator"] = loss.detach()
        return self.stage.adversarial.weight * loss

    def add_gradients(self, total: Tensor) -> None:
        """Accumulate the gradients of one micro-batch."""
        self.manual_backward(total / self.stage.accumulate)

    def add_discriminator_gradients(
        self, real: Tensor, generated: Tensor, random: torch.Generator, batch_slice: BatchSlice
    ) -> dict[str, Tensor]:
        """Accumulate the discriminator's gradients on this slice of the step's images, [N, 3, H, W] each; returns the
        values to log. `generated` has no gradients.
        """
        self.let_discriminator_learn()
        self.discriminator.eval()
        loss = self.adversary.discriminator_loss(real, generated, self.augmentation, random, batch_slice, self.step)
        self.add_gradients(loss.total)
        return {f"adversarial/{name}": value for name, value in loss.values.items()}

    def let_discriminator_learn(self) -> None:
        """Unfreeze the parts that the stage trains; the generator's update has frozen them."""
        self.discriminator.requires_grad_("discriminator" in self.stage.train)
        if isinstance(self.discriminator, Discriminator):
            self.discriminator.freeze_highest(self.stage.adversarial.freeze_blocks)

    def update(self, player: int) -> None:
        """Take a step with the gradients accumulated over the micro-batches."""
        optimizer = self.players[player]
        if self.stage.grad_clip:
            self.clip_gradients(optimizer, self.stage.grad_clip, "norm")
        optimizer.step()
        optimizer.zero_grad()

    def update_discriminator(self, learned: Mapping[str, Any], real: int) -> None:
        """Take the discriminator's step, then update augmentation and learning rates. `learned`: means of the values
        that `add_discriminator_gradients` returned; `real`: the number of the step's training images, over all
        processes, that the discriminator was given.
        """
        self.update(DISCRIMINATOR)
        self.adversary.adapt(self.augmentation, self.mean_over_ranks(learned["adversarial/sign"]), real)
        for scheduler in self.lr_schedulers():  # type: ignore[union-attr]  # a list where there are two
            scheduler.step()

    @property
    def players(self) -> list[Any]:
        """The optimisers of an adversarial stage: of the generator's side and of the discriminator."""
        return self.optimizers()  # type: ignore[return-value]  # a list where there are two

    def configure_optimizers(self) -> Any:
        if not self.stage.is_adversarial:
            return super().configure_optimizers()
        learners = [name for name in self.parts() if name != "discriminator"]
        self.let_discriminator_learn()
        # If nothing is trained, all parameters are listed: an optimiser refuses an empty list.
        learning = [weight for weight in self.discriminator.parameters() if weight.requires_grad]
        adversarial = self.stage.adversarial
        group = {"params": learning or list(self.discriminator.parameters()), "lr": adversarial.learning_rate}
        optimizers = [
            torch.optim.Adam(self.parameter_groups(learners), betas=pair(self.stage.betas), eps=1e-8),
            torch.optim.Adam([group], betas=pair(adversarial.betas), eps=1e-8),
        ]
        return optimizers, [self.schedule(optimizer) for optimizer in optimizers]
