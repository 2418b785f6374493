"""The prior in training: a StyleGAN2 generator, learnt by adversarial training, with reconstruction where it is wanted.

Pure GAN training needs millions of images. On small sets and little hardware, reconstruction tells the generator what
faces are made of, and the discriminator that what the mapping network draws should look like them. A stage without
losses leaves the upper row out:

```
images ──encoder──▶ latents ──heads──▶ W+ ─┐
                                           ├─ generator ─▶ reconstructions (L2, LPIPS, …)
z ──mapping──▶ w, mixed ───────────────────┘             ─▶ generated faces ─▶ discriminator
```
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hsc.config import Config, StageConfig, tasks_of
from hsc.losses import Loss
from hsc.modules.adversary import DISCRIMINATOR, GENERATOR, AdversarialModule
from hsc.modules.base import mean_of
from hsc.modules.batch_slice import BatchSlice
from hsc.modules.encoder import EncoderModule
from hsc.modules.rate_distortion import Compared, Objective
from hsc.validation_output import CodecOutput

MEAN_STYLE_BETA = 0.998
PATH_LENGTH_BETA = 0.99


class PriorModule(AdversarialModule):
    """Non-saturating GAN loss with lazy R1 and path lengths, style mixing and adaptive augmentation, or hinge loss
    against a projected discriminator; reconstruction through the encoder where the last layer has losses.
    """

    def __init__(self, config: Config, stage: StageConfig, losses: Mapping[str, Loss], samples_before: int = 0) -> None:
        super().__init__(config, stage, samples_before)
        self.encoder = EncoderModule(config.model)
        self.decoder = self.build_decoder()
        self.objective = Objective(stage, self.layer_names, losses)
        self.register_buffer("path_length", torch.zeros(()))
        self.path_length: Tensor
        self.reconstructs = reconstructs(config, stage)
        self._images: list[Tensor] = []  # of the step's micro-batches so far
        self._mean_styles: list[Tensor] = []
        self._path_lengths: list[Tensor] = []
        self.freeze_untrained()
        self.to(memory_format=torch.channels_last)

    def parts(self) -> Mapping[str, nn.Module]:
        return {
            "encoder": self.encoder,
            "heads": self.decoder.heads,
            "generator": self.decoder.generator.synthesis_network,
            "mapping": self.decoder.generator.mapping_network,
            **self.discriminator_part(),
        }

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        batch_slice = self.batch_slice
        total, values = self._generator_side(batch, self.step_generator(GENERATOR), batch_slice)
        if self.stage.is_adversarial:
            self.add_gradients(total)
            self._images.append(batch["image"])
        if (means := self.end_micro_batch(values)) is not None:
            if self.stage.is_adversarial:
                means |= self._update_both(batch_slice.stride)
            self.end_step(means)
        return total

    def _update_both(self, slices: int) -> dict[str, Any]:
        """The generator's side steps, then the discriminator, against what the generator has come to. Returns what is
        logged.
        """
        self.update(GENERATOR)
        self._follow_means()
        images, self._images = self._images, []
        learned = mean_of([self._discriminator_gradients(own, self.slice_of(k)) for k, own in enumerate(images)])
        self.update_discriminator(learned, self._adversarial_images(len(images[0])) * slices)
        return learned

    def _generator_side(
        self, batch: dict[str, Any], random: torch.Generator, batch_slice: BatchSlice
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The generator side's objective on a slice of the step's images, and what is logged."""
        originals = batch["image"].contiguous(memory_format=torch.channels_last)
        styles = self._styles_of(originals) if self.reconstructs else originals.new_zeros(0)
        n = len(styles)
        if self.stage.is_adversarial:
            random_styles = self._random_styles(self._adversarial_images(len(originals)), random, batch_slice)
            self._mean_styles.append(random_styles[:, 0].detach().mean(0))
            styles = torch.cat([styles, random_styles]) if n else random_styles
        images = self.decoder.generator.synthesis(styles).float()
        total = images.new_zeros(())
        values: dict[str, Tensor] = {}
        if n:
            faces = Compared(self._last_layer, 1.0, images[:n], originals, batch.get("landmarks"))
            total, values = self.objective.distortion([faces])
        if self.stage.is_adversarial:
            total = total + self.generator_loss(images[n:], values, random, batch_slice)
            total = total + self._path_penalty(len(originals), random, batch_slice, values)
        values["objective"] = total.detach()
        return total, values

    def _styles_of(self, originals: Tensor) -> Tensor:
        """W+ [N, rows, w_dim] that the encoder finds for faces."""
        quality = torch.full((len(originals),), len(self.config.model.lambdas) - 1, device=self.device)
        return self.decoder.styles(self.encoder(originals), quality)

    def _path_penalty(
        self, n: int, random: torch.Generator, batch_slice: BatchSlice, values: dict[str, Tensor]
    ) -> Tensor:
        """Path-length regularisation (StyleGAN2), in its turn, on half the generated images: a step of w should change
        the image as much everywhere. In float32, whose second derivatives bfloat16 cannot carry.
        """
        stage = self.stage.adversarial
        if not stage.path_weight or self.step % stage.path_every:
            return self.path_length.new_zeros(())
        styles = self._random_styles(max(self._adversarial_images(n) // 2, 1), random, batch_slice)
        self._mean_styles.append(styles[:, 0].detach().mean(0))
        with torch.autocast(self.device.type, enabled=False):
            images = self.decoder.generator.synthesis(styles)
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
        """Move the running means of styles and path lengths on to what the step has seen of them."""
        generator = self.decoder.generator
        for seen, mean, beta in (
            (self._mean_styles, generator.mean_w, MEAN_STYLE_BETA),
            (self._path_lengths, self.path_length, PATH_LENGTH_BETA),
        ):
            if seen:
                mean.lerp_(self.mean_over_ranks(torch.stack(seen).mean(0)), 1 - beta)
                seen.clear()

    def _discriminator_gradients(self, originals: Tensor, batch_slice: BatchSlice) -> dict[str, Tensor]:
        """Add the discriminator's gradients on a slice of the step's images; returns what is logged."""
        random = self.step_generator(DISCRIMINATOR)
        originals = originals[: self._adversarial_images(len(originals))]
        with torch.no_grad():
            styles = self._random_styles(len(originals), random, batch_slice)
            generated = self.decoder.generator.synthesis(styles).float()
        return self.add_discriminator_gradients(originals, generated, random, batch_slice)

    def _random_styles(self, n: int, random: torch.Generator, batch_slice: BatchSlice) -> Tensor:
        """W+ [n, rows, w_dim] of random faces; some mix two styles at a random row, of which the first is in row 0."""
        generator, whole = self.decoder.generator, n * batch_slice.stride
        z = torch.randn(2, whole, generator.z_dim, generator=random, device=self.device)
        mixed = torch.rand(whole, generator=random, device=self.device) < self.stage.adversarial.style_mixing
        cut = torch.randint(1, generator.num_rows, (whole,), generator=random, device=self.device)
        cut = batch_slice.of(torch.where(mixed, cut, generator.num_rows))
        first, second = (
            generator.mapping_network(torch.cat([batch_slice.of(z[0]), batch_slice.of(z[1])])).float().chunk(2)
        )
        rows = torch.arange(generator.num_rows, device=self.device)
        return torch.where((rows < cut[:, None])[..., None], first[:, None], second[:, None])

    def _adversarial_images(self, n: int) -> int:
        """Beside reconstruction half the batch is enough for the adversarial part, which costs more."""
        return max(n // 2, 1) if self.reconstructs else n

    @property
    def _last_layer(self) -> str:
        return list(self.config.model.layers)[-1]

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> CodecOutput:  # type: ignore[override]
        """Reconstructions, as the last layer's images; a prior has no rate. Without losses there are none."""
        originals, names = batch["image"], batch["name"]
        if not self.reconstructs:
            return CodecOutput(originals, names, {}, {}, torch.empty(len(names), 0))
        return self.reconstructions(originals, names)

    def generated_samples(self, n: int, truncation: float = 0.7) -> Tensor:
        """The same n random faces [n, 3, size, size] at every call, for picture grids."""
        return self.sample(self.random_inputs(n), truncation)

    def random_inputs(self, n: int) -> Tensor:
        """The same n inputs [n, z_dim] of the mapping network at every call."""
        random = torch.Generator().manual_seed(self.config.seed)
        return torch.randn(n, self.decoder.generator.z_dim, generator=random).to(self.device)

    @torch.no_grad()
    def sample(self, z: Tensor, truncation: float = 1.0) -> Tensor:
        """z [N, z_dim] → faces [N, 3, size, size] in float32."""
        return self.decoder.generator(z, truncation).float()


def reconstructs(config: Config, stage: StageConfig) -> bool:
    """Whether a prior stage also decodes training faces: whether the last layer has losses."""
    return any(tasks_of(stage, config.model).values())
