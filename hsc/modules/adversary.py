"""What a generator and a discriminator hold against each other: the losses of both sides, and augmentation."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsc.config.schema import AdversarialConfig
from hsc.modules.augment import AugmentationController, augment, diff_augment
from hsc.modules.share import Share
from hsc.nets.discriminator import r1_penalty


class Judgement(NamedTuple):
    """The discriminator's objective, and what is logged, by name."""

    total: Tensor
    values: dict[str, Tensor]


class NonSaturating:
    """The non-saturating loss with lazy R1 (Mescheder et al. 2018) and adaptive augmentation (Karras et al. 2020).

    `p`, where it is asked for, is the probability of augmentation, []. Real and generated images go through the
    discriminator in separate calls: statistics over a batch that mixes them would be the same for both, and a collapsed
    generator would go unseen.
    """

    def __init__(self, discriminator: nn.Module, config: AdversarialConfig) -> None:
        self.discriminator, self.config = discriminator, config
        self.controller = AugmentationController(config.ada_target, config.ada_kimg)

    def realism(self, generated: Tensor, p: Tensor, random: torch.Generator, share: Share) -> Tensor:
        """The generator's loss on this share [N, 3, H, W] of a step's images."""
        return F.softplus(-self.discriminator(self._augmented(generated, p, random, share))).mean()

    def judgement(
        self, real: Tensor, generated: Tensor, p: Tensor, random: torch.Generator, share: Share, step: int
    ) -> Judgement:
        """The discriminator's loss on this share of a step's images, both [N, 3, H, W]."""
        real, generated = (self._augmented(images, p, random, share) for images in (real, generated))
        logits_real, logits_fake = self.discriminator(real), self.discriminator(generated)
        total = F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()
        values = {"discriminator": total.detach(), **means(logits_real, logits_fake), "augmentation": p.clone()}
        if step % self.config.r1_every == 0:
            penalty = r1_penalty(self.discriminator, real)
            total = total + penalty * (0.5 * self.config.r1_gamma * self.config.r1_every)
            values["r1"] = penalty.detach()
        return Judgement(total, values)

    def adapt(self, p: Tensor, sign: Tensor, images: int) -> None:
        """Move p in place after a step with so many real images, whose logits had this mean sign []."""
        self.controller.update(p, sign, images)

    def _augmented(self, images: Tensor, p: Tensor, random: torch.Generator, share: Share) -> Tensor:
        return augment(images, p, random, share) if self.controller.active else images


class Hinge:
    """The hinge loss for a projected discriminator (Sauer et al. 2021), with DiffAugment and no penalty."""

    def __init__(self, discriminator: nn.Module, config: AdversarialConfig) -> None:
        self.discriminator = discriminator

    def realism(self, generated: Tensor, p: Tensor, random: torch.Generator, share: Share) -> Tensor:
        """The generator's loss on this share [N, 3, H, W] of a step's images."""
        return -self.discriminator(diff_augment(generated, random, share)).mean()

    def judgement(
        self, real: Tensor, generated: Tensor, p: Tensor, random: torch.Generator, share: Share, step: int
    ) -> Judgement:
        """The discriminator's loss on this share of a step's images, both [N, 3, H, W]."""
        logits_real, logits_fake = (
            self.discriminator(diff_augment(images, random, share)) for images in (real, generated)
        )
        total = F.relu(1 - logits_real).mean() + F.relu(1 + logits_fake).mean()
        return Judgement(total, {"discriminator": total.detach(), **means(logits_real, logits_fake)})

    def adapt(self, p: Tensor, sign: Tensor, images: int) -> None:
        """Its augmentation is the same throughout."""


Adversary = NonSaturating | Hinge


def build_adversary(discriminator: nn.Module, config: AdversarialConfig) -> Adversary:
    """The losses that go with the kind of discriminator."""
    kind = Hinge if config.discriminator == "projected" else NonSaturating
    return kind(discriminator, config)


def means(logits_real: Tensor, logits_fake: Tensor) -> dict[str, Tensor]:
    """What is logged of a discriminator's output."""
    real, fake = logits_real.detach(), logits_fake.detach()
    return {"real": real.mean(), "fake": fake.mean(), "sign": real.sign().mean()}
