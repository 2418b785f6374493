"""An adversarial term for the joint stage, as a user's own loss, to see what it does.

    PYTHONPATH=benchmarks hsc train experiments/ffhq128.yaml name=adversarial \\
        'defaults.losses.enhanced={landmarks: 12, l2: 110, lpips_128: 2.5, faceres: 7, adversarial:Adversarial: 1}'

The non-saturating loss with lazy R1 (Mescheder et al. 2018, Karras et al. 2020). The discriminator begins fresh, learns
from every batch that the term sees, and is in no checkpoint: a run that was killed goes on with a fresh one.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from hsc.losses import Loss
from hsc.nets.discriminator import Discriminator, r1_penalty

CHANNELS = [128, 128, 128, 64, 32]  # of 4² to 64²
GAMMA, EVERY = 1.0, 16  # R1's weight, and the batches from one to the next


class Adversarial(Loss):
    """`adversarial`: softplus of minus the logits that a discriminator, trained on the way, gives decoded images."""

    name = "adversarial"

    def __init__(self) -> None:
        super().__init__()
        # Few images of a batch are decoded up to one layer, so there are no statistics over groups of them.
        self.discriminator = Discriminator(CHANNELS, group_size=1)
        self.optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=2e-3, betas=(0.0, 0.99))
        self.batches = 0

    def forward(self, image: Tensor, original: Tensor, landmarks: Tensor | None = None) -> Tensor:
        self._teach(image.detach(), original)
        self.discriminator.requires_grad_(False)
        return F.softplus(-self.discriminator(image).float())

    def _teach(self, decoded: Tensor, original: Tensor) -> None:
        self.discriminator.requires_grad_(True)
        real, fake = self.discriminator(original).float(), self.discriminator(decoded).float()
        total = F.softplus(-real).mean() + F.softplus(fake).mean()
        if self.batches % EVERY == 0:
            total = total + 0.5 * GAMMA * EVERY * r1_penalty(self.discriminator, original)
        self.optimizer.zero_grad()
        total.backward()
        self.optimizer.step()
        self.batches += 1
