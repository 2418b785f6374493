"""The prior in training: a StyleGAN2 generator learnt from few faces by adversarial training led by reconstruction.

Pure GAN training needs millions of images. On small sets and little hardware, reconstruction tells the generator what
faces are made of, and the discriminator that what the mapping network dreams up should look like them:

```
images ──encoder──▶ latents ──heads──▶ W+ ─┐
                                           ├─ generator ─▶ reconstructions (L2, LPIPS, …)
z ──mapping──▶ w, mixed ───────────────────┘             ─▶ generated faces ─▶ discriminator
```
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsc.config import Config, StageConfig
from hsc.images import resize
from hsc.losses import Loss
from hsc.modules.augment import AugmentationController, augment
from hsc.modules.decoder import DecoderModule
from hsc.modules.encoder import EncoderModule
from hsc.modules.objective import Objective
from hsc.modules.trainable import TrainableModule
from hsc.outputs import CodecOutput, LayerOutput

MEAN_STYLE_BETA = 0.998


class PriorModule(TrainableModule):
    """Non-saturating GAN loss with lazy R1, style mixing, adaptive augmentation; reconstruction through the encoder.

    Two optimisers (generator side, discriminator), so optimisation is manual and Lightning counts two steps a batch.
    """

    automatic_optimization = False

    def __init__(self, config: Config, stage: StageConfig, losses: Mapping[str, Loss], samples_before: int = 0) -> None:
        super().__init__(config, stage, samples_before)
        self.encoder = EncoderModule(config.model)
        self.decoder = DecoderModule(config.model, adversarial=True)
        self.objective = Objective(stage, self.layer_names, losses)
        self.register_buffer("augmentation", torch.zeros(()))
        self.augmentation: Tensor
        self.controller = AugmentationController(stage.adversarial.ada_target, stage.adversarial.ada_kimg)
        self.freeze_untrained()
        self.to(memory_format=torch.channels_last)

    def parts(self) -> Mapping[str, nn.Module]:
        assert self.decoder.discriminator is not None
        return {
            "encoder": self.encoder,
            "heads": self.decoder.heads,
            "generator": self.decoder.generator.synthesis_network,
            "mapping": self.decoder.generator.mapping_network,
            "discriminator": self.decoder.discriminator,
        }

    @property
    def adversarial(self) -> bool:
        return self.stage.adversarial.weight > 0

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        random = self.step_generator()
        values = self._train_generator(batch, random)
        if self.adversarial:
            values |= self._train_discriminator(batch["image"], random)
        for scheduler in _as_list(self.lr_schedulers()):
            scheduler.step()
        self.batches_seen += 1
        self.log_training(values)

    def _train_generator(self, batch: dict[str, Any], random: torch.Generator) -> dict[str, Tensor]:
        originals = batch["image"].contiguous(memory_format=torch.channels_last)
        optimizer = self._optimizers()[0]
        n = len(originals)
        quality = torch.full((n,), len(self.config.model.lambdas) - 1, device=self.device)
        latents = self.encoder(originals)
        styles, picture = self.decoder.styles(latents, quality), self.decoder.heads.picture(latents)
        if self.adversarial:
            random_styles = self._random_styles(self._adversarial_images(n), random)
            styles = torch.cat([styles, random_styles])
            if picture is not None:  # what is dreamt up has none
                picture = torch.cat([picture, picture.new_zeros(len(random_styles), *picture.shape[1:])])
        images = self.decoder.generator.synthesis(styles, picture=picture).float()
        last = list(self.config.model.layers)[-1]
        total, values = self.objective.distortion(last, images[:n], originals, batch.get("landmarks"))
        if self.adversarial:
            self._discriminator.requires_grad_(False)
            logits = self._discriminator(augment(images[n:], float(self.augmentation), random))
            realism = F.softplus(-logits).mean()
            total = total + self.stage.adversarial.weight * realism
            values["adversarial/generator"] = realism.detach()
        self._step(optimizer, total)
        return values

    def _train_discriminator(self, originals: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        stage, p = self.stage.adversarial, float(self.augmentation)
        self._discriminator.requires_grad_("discriminator" in self.stage.train)
        originals = originals[: self._adversarial_images(len(originals))]
        with torch.no_grad():
            styles = self._random_styles(len(originals), random)
            generated = self.decoder.generator.synthesis(styles).float()
        real, fake = augment(originals, p, random), augment(generated, p, random)
        logits_real, logits_fake = self._discriminator(torch.cat([real, fake])).chunk(2)
        total = F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()
        sign = logits_real.detach().sign().mean()
        values = {
            "adversarial/discriminator": total.detach(),
            "adversarial/real": logits_real.detach().mean(),
            "adversarial/fake": logits_fake.detach().mean(),
            "adversarial/sign": sign,
            "adversarial/augmentation": self.augmentation.clone(),
        }
        if int(self.batches_seen) % stage.r1_every == 0:
            penalty = self._r1(real)
            total = total + penalty * (0.5 * stage.r1_gamma * stage.r1_every)
            values["adversarial/r1"] = penalty.detach()
        self._step(self._optimizers()[1], total)
        self.controller.update(
            self.augmentation, float(self._mean_over_ranks(sign)), len(originals) * self.trainer.world_size
        )
        return values

    def _r1(self, real: Tensor) -> Tensor:
        """Squared gradient of the logits: in float32, whose second derivatives bfloat16 cannot carry."""
        real = real.detach().requires_grad_()
        with torch.autocast(self.device.type, enabled=False):
            logits = self._discriminator(real)
            (gradient,) = torch.autograd.grad(logits.sum(), real, create_graph=True)
        return gradient.square().sum((1, 2, 3)).mean()

    def _random_styles(self, n: int, random: torch.Generator) -> Tensor:
        """W+ [n, rows, w_dim] of random faces; some mix two styles at a random row."""
        generator = self.decoder.generator
        z = torch.randn(2 * n, generator.z_dim, generator=random, device=self.device)
        first, second = generator.mapping_network(z).float().chunk(2)
        if torch.is_grad_enabled():
            mean = self._mean_over_ranks(first.detach().mean(0))
            generator.mean_w.copy_(mean.lerp(generator.mean_w, MEAN_STYLE_BETA))
        mixed = torch.rand(n, generator=random, device=self.device) < self.stage.adversarial.style_mixing
        cut = torch.randint(1, generator.num_rows, (n,), generator=random, device=self.device)
        cut = torch.where(mixed, cut, generator.num_rows)
        rows = torch.arange(generator.num_rows, device=self.device)
        return torch.where((rows < cut[:, None])[..., None], first[:, None], second[:, None])

    def _adversarial_images(self, n: int) -> int:
        """Half the batch is enough for the adversarial part, which costs more than reconstruction."""
        return max(n // 2, 1)

    def _optimizers(self) -> list[Any]:
        """Of the generator's side and, when there is one, of the discriminator."""
        return _as_list(self.optimizers())

    @property
    def _discriminator(self) -> nn.Module:
        assert self.decoder.discriminator is not None
        return self.decoder.discriminator

    def _mean_over_ranks(self, value: Tensor) -> Tensor:
        if self.trainer.world_size == 1:
            return value
        gathered = self.all_gather(value)
        assert isinstance(gathered, Tensor)
        return gathered.float().mean(0)

    def _step(self, optimizer: Any, loss: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        if self.stage.clip:
            self.clip_gradients(optimizer, self.stage.clip, "norm")
        optimizer.step()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> CodecOutput:  # type: ignore[override]
        """Reconstructions, as the last layer's images; a prior has no rate."""
        originals, names = batch["image"], batch["name"]
        small = resize(originals, self.size).contiguous(memory_format=torch.channels_last)
        quality = torch.full((len(names),), len(self.config.model.lambdas) - 1, device=self.device)
        images = resize(self.decoder(self.encoder(small), quality).float(), originals.shape[-1])
        nothing = torch.full((len(names),), torch.nan, dtype=torch.float64)
        layers = {list(self.config.model.layers)[-1]: LayerOutput(images, nothing, nothing)}
        return CodecOutput(originals, names, layers, {}, torch.empty(len(names), 0))

    def generated_samples(self, n: int, truncation: float = 0.7) -> Tensor:
        """The same n random faces [n, 3, size, size] at every call, for picture grids."""
        generator = self.decoder.generator
        z = torch.randn(n, generator.z_dim, generator=torch.Generator().manual_seed(self.config.seed)).to(self.device)
        return generator(z, truncation).float()

    def configure_optimizers(self) -> Any:
        learners = [name for name in self.parts() if name != "discriminator"]
        optimizers = [torch.optim.Adam(self.parameter_groups(learners), betas=self.betas, eps=1e-8)]
        if self.adversarial:
            group = {"params": list(self._discriminator.parameters()), "lr": self.stage.adversarial.learning_rate}
            # No momentum: its target moves with every step of the generator.
            optimizers.append(torch.optim.Adam([group], betas=(0.0, 0.99), eps=1e-8))
        return optimizers, [self.schedule(optimizer) for optimizer in optimizers]


def _as_list(one_or_many: Any) -> list[Any]:
    """Lightning hands out a single optimizer or scheduler bare."""
    return one_or_many if isinstance(one_or_many, list) else [one_or_many]
