"""The prior in training: a generator and its mapping network against a discriminator.

```
z ──mapping──▶ w, mixed ──generator──▶ generated faces ─┐
                                                        ├─▶ discriminator
                                       training faces ──┘
```
"""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from hsc.config import Config, StageConfig
from hsc.losses import Loss
from hsc.modules.adversary import DISCRIMINATOR, GENERATOR, AdversarialModule
from hsc.modules.base import mean_of
from hsc.modules.batch_slice import BatchSlice
from hsc.modules.decoder import discriminator_of
from hsc.nets.build import build_generator
from hsc.nets.generator import Generator
from hsc.validation_output import CodecOutput

MEAN_STYLE_BETA = 0.998
PATH_LENGTH_BETA = 0.99


class PriorModule(AdversarialModule):
    """Non-saturating GAN loss with lazy R1 and path lengths, style mixing and adaptive augmentation, or hinge loss
    against a projected discriminator.
    """

    def __init__(self, config: Config, stage: StageConfig, losses: Mapping[str, Loss], samples_before: int = 0) -> None:
        super().__init__(config, stage, losses, samples_before)
        self.decoder = nn.ModuleDict({"generator": build_generator(config.model)})
        self.decoder["discriminator"] = discriminator_of(config.model, stage.adversarial.discriminator)
        self.register_buffer("path_length", torch.zeros(()))
        self.path_length: Tensor
        self._images: list[Tensor] = []  # of the step's micro-batches so far
        self._mean_styles: list[Tensor] = []
        self._path_lengths: list[Tensor] = []
        self.freeze_untrained()
        self.to(memory_format=torch.channels_last)

    @property
    def generator(self) -> Generator:
        return cast(Generator, self.decoder["generator"])

    @property
    def discriminator(self) -> nn.Module:
        return self.decoder["discriminator"]

    def parts(self) -> Mapping[str, nn.Module]:
        return {
            "generator": self.generator.synthesis_network,
            "mapping": self.generator.mapping_network,
            **self.discriminator_part(),
        }

    def networks_to_compile(self) -> list[nn.Module]:
        return [self.generator.synthesis_network]

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        originals = batch["image"].contiguous(memory_format=torch.channels_last)
        total, values = self._generator_side(len(originals))
        self.add_gradients(total)
        self._images.append(originals)
        if (means := self.end_micro_batch(values)) is not None:
            self.end_step(means | self._update_both())
        return total

    def _update_both(self) -> dict[str, Any]:
        """Take the generator's step, then the discriminator's on images of the updated generator. Returns the values
        to log.
        """
        self.update(GENERATOR)
        self._follow_means()
        images, self._images = self._images, []
        learned = mean_of([self._discriminator_gradients(own, self.slice_of(k)) for k, own in enumerate(images)])
        self.update_discriminator(learned, len(images[0]) * self.batch_slice.stride)
        return learned

    def _generator_side(self, n: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The generator side's objective on n faces, a slice of the step's, and the values to log."""
        random, batch_slice = self.step_generator(GENERATOR), self.batch_slice
        styles = self._random_styles(n, random, batch_slice)
        self._mean_styles.append(styles[:, 0].detach().mean(0))
        values: dict[str, Tensor] = {}
        total = self.generator_loss(self.generator.synthesis(styles).float(), values, random, batch_slice)
        total = total + self._path_penalty(n, random, batch_slice, values)
        values["objective"] = total.detach()
        return total, values

    def _path_penalty(
        self, n: int, random: torch.Generator, batch_slice: BatchSlice, values: dict[str, Tensor]
    ) -> Tensor:
        """Path-length regularisation (StyleGAN2), every `path_every` steps on half as many images: a step of w should
        change the image by the same amount everywhere. In float32: bfloat16 is too coarse for second derivatives.
        """
        stage = self.stage.adversarial
        if not stage.path_weight or self.step % stage.path_every:
            return self.path_length.new_zeros(())
        styles = self._random_styles(max(n // 2, 1), random, batch_slice)
        self._mean_styles.append(styles[:, 0].detach().mean(0))
        with torch.autocast(self.device.type, enabled=False):
            images = self.generator.synthesis(styles)
            noise = batch_slice.of(
                torch.randn(batch_slice.stride * len(images), *images.shape[1:], generator=random, device=self.device)
            )
            (slopes,) = torch.autograd.grad((images * noise).sum() / images.shape[-1], styles, create_graph=True)
        lengths = slopes.square().sum(2).mean(1).sqrt()
        self._path_lengths.append(lengths.detach().mean())
        values["adversarial/path_length"] = lengths.detach().mean()
        penalty = (lengths - self.path_length).square().mean()
        return penalty * (stage.path_weight * stage.path_every)

    def _follow_means(self) -> None:
        """Update the running means of styles and path lengths with those of the step."""
        for seen, mean, beta in (
            (self._mean_styles, self.generator.mean_w, MEAN_STYLE_BETA),
            (self._path_lengths, self.path_length, PATH_LENGTH_BETA),
        ):
            if seen:
                mean.lerp_(self.mean_over_ranks(torch.stack(seen).mean(0)), 1 - beta)
                seen.clear()

    def _discriminator_gradients(self, originals: Tensor, batch_slice: BatchSlice) -> dict[str, Tensor]:
        """Accumulate the discriminator's gradients on a slice of the step's images; returns the values to log."""
        random = self.step_generator(DISCRIMINATOR)
        with torch.no_grad():
            styles = self._random_styles(len(originals), random, batch_slice)
            generated = self.generator.synthesis(styles).float()
        return self.add_discriminator_gradients(originals, generated, random, batch_slice)

    def _random_styles(self, n: int, random: torch.Generator, batch_slice: BatchSlice) -> Tensor:
        """W+ [n, rows, w_dim] of random faces; some switch to a second style at a random row after row 0."""
        generator, whole = self.generator, n * batch_slice.stride
        z = torch.randn(2, whole, generator.z_dim, generator=random, device=self.device)
        mixed = torch.rand(whole, generator=random, device=self.device) < self.stage.adversarial.style_mixing
        cut = torch.randint(1, generator.num_rows, (whole,), generator=random, device=self.device)
        cut = batch_slice.of(torch.where(mixed, cut, generator.num_rows))
        first, second = (
            generator.mapping_network(torch.cat([batch_slice.of(z[0]), batch_slice.of(z[1])])).float().chunk(2)
        )
        rows = torch.arange(generator.num_rows, device=self.device)
        return torch.where((rows < cut[:, None])[..., None], first[:, None], second[:, None])

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> CodecOutput:  # type: ignore[override]
        """Nothing is decoded: a prior is judged by the faces that it samples."""
        originals, names = batch["image"], batch["name"]
        return CodecOutput(originals, names, {}, {}, torch.empty(len(names), 0))

    def generated_samples(self, n: int, truncation: float = 0.7) -> Tensor:
        """The same n random faces [n, 3, size, size] at every call, for picture grids."""
        return self.sample(self.random_inputs(n), truncation)

    def random_inputs(self, n: int) -> Tensor:
        """The same n inputs [n, z_dim] of the mapping network at every call."""
        random = torch.Generator().manual_seed(self.config.seed)
        return torch.randn(n, self.generator.z_dim, generator=random).to(self.device)

    @torch.no_grad()
    def sample(self, z: Tensor, truncation: float = 1.0) -> Tensor:
        """z [N, z_dim] → faces [N, 3, size, size] in float32."""
        return self.generator(z, truncation).float()
