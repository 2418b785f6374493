"""The codec in training: composes encoder, entropy model and decoder; the only one of the four modules that logs."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hsc.codec import Codec, Networks
from hsc.config import Config, StageConfig
from hsc.images import resize
from hsc.losses import Loss
from hsc.modules.adversary import GENERATOR, AdversarialModule
from hsc.modules.base import output_without_rate
from hsc.modules.batch_slice import BatchSlice
from hsc.modules.decoder import DecoderModule
from hsc.modules.encoder import EncoderModule
from hsc.modules.entropy import EntropyModule
from hsc.modules.rate_distortion import Compared, Prefix, Terms
from hsc.nets.heads import Heads
from hsc.nets.mobile_stylegan import MobileStyleGAN
from hsc.nets.picture_heads import PictureHeads
from hsc.nets.planes import enlarged, small_pictures
from hsc.validation_output import CodecOutput, LayerOutput

PREFIXES, WINDOW = 2, 3  # purposes of a step's random numbers: choice of prefixes, position of texture windows


class CodecModule(AdversarialModule):
    """Trains a prefix of the layers, or all of them, on the multi-task scalable rate–distortion objective.

    ```
    images ──encoder──▶ latents ──entropy──▶ prefixes 1…k ──decoder──▶ images of each prefix ──▶ discriminator
                                    └─▶ bits of each layer
    ```
    With `quantise: none` (inversion) the latents pass unchanged and only the full set of layers is decoded. In stages
    that train the discriminator, it compares all images that a step decodes, of any prefix, with the step's originals.
    Stages that decode at the full size may be given faces of that size and small ones (batches mark which are `large`):
    each decoded image is compared with its original at the size that both have.
    Validation writes real files with the released form of the codec.
    """

    def __init__(self, config: Config, stage: StageConfig, losses: Mapping[str, Loss], samples_before: int = 0) -> None:
        super().__init__(config, stage, losses, samples_before)
        self.encoder = EncoderModule(config.model)
        self.entropy = EntropyModule(config.model)
        self.decoder = DecoderModule(config.model, stage.adversarial.discriminator if stage.is_adversarial else None)
        if (eigen := self.encoder.net.eigen) is not None:  # both halves of the linear path train the same matrices
            shared = _picture_heads(self.decoder.heads).eigen
            eigen.components, eigen.blocks = shared.components, shared.blocks
        self.register_buffer("lambdas", torch.tensor(config.model.lambdas), persistent=False)
        self.lambdas: Tensor
        self._released: tuple[Codec, ...] = ()  # the codec for validation; in a tuple, so not in checkpoints
        self.freeze_untrained()
        self.to(memory_format=torch.channels_last)

    def parts(self) -> Mapping[str, nn.Module]:
        return {
            "encoder": self.encoder,
            "gain": self.entropy.gain,
            "entropy": self.entropy.net,
            "heads": self.decoder.heads,
            **self._details_part(),
            "generator": self.decoder.generator.synthesis_network,
            **self._full_part(),
            **self.discriminator_part(),
        }

    @property
    def discriminator(self) -> nn.Module:
        assert self.decoder.discriminator is not None
        return self.decoder.discriminator

    def _details_part(self) -> dict[str, nn.Module]:
        """Part of the heads, which can be trained alone."""
        heads = self.decoder.heads
        return {"details": heads.details} if isinstance(heads, PictureHeads) and heads.details is not None else {}

    def _full_part(self) -> dict[str, nn.Module]:
        """Listed after the generator, which contains it: the last entry decides whether it is trained."""
        generator = self.decoder.generator
        if not isinstance(generator, MobileStyleGAN) or not generator.full_size:
            return {}
        network = generator.synthesis_network
        return {"full": nn.ModuleList([network.full_layers, network.heads[str(generator.full_size)]])}

    def networks_to_compile(self) -> list[nn.Module]:
        """Encoder and generator. Entropy model and gains make many small calls, which compilation slows down."""
        return [self.encoder.net, self.decoder.generator.synthesis_network]

    def freeze_untrained(self) -> None:
        """Freeze everything except the stage's parts. Weights shared by encoder and heads are trained only if both are,
        so that training the decoder alone leaves files unchanged.
        """
        super().freeze_untrained()
        for details in self._details_part().values():
            details.requires_grad_(not {"heads", "details"}.isdisjoint(self.stage.train))
        eigen = self.encoder.net.eigen
        if eigen is not None:
            eigen.requires_grad_({"encoder", "heads"} <= set(self.stage.train))

    def networks(self) -> Networks:
        """The networks of a codec."""
        return Networks(self.encoder.net, self.entropy.gain, self.decoder.heads, self.decoder.generator)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        images, random, batch_slice = batch["image"], self.step_generator(), self.batch_slice
        total, values, prefixes = self._rate_and_distortion(batch, random, batch_slice)
        if self.stage.is_adversarial:
            large = batch.get("large", [False] * len(images))
            decoded = self._all_images(prefixes)
            decoded = self._views(decoded, [any(large)] * len(decoded))
            total = total + self.generator_loss(decoded, values, random, batch_slice)
            self.add_gradients(total)
            values |= self.add_discriminator_gradients(
                self._views(images, large), decoded.detach(), random, batch_slice
            )
        values |= {"objective": total.detach(), "learning_rate": self._rate()}
        if (means := self.end_micro_batch(values)) is not None:
            if self.stage.is_adversarial:
                self.update(GENERATOR)
                self.update_discriminator(means, batch_slice.stride * len(images))
            self.end_step(means)
        return total

    def _rate_and_distortion(
        self, batch: dict[str, Any], random: torch.Generator, batch_slice: BatchSlice
    ) -> tuple[Tensor, dict[str, Any], list[Prefix]]:
        """The objective on a slice of the step's images, the values to log, and the decoded prefixes."""
        images = self._at_size(batch["image"])
        whole = (batch_slice.stride * len(images),)
        quality = batch_slice.of(torch.randint(len(self.lambdas), whole, generator=random, device=self.device))
        latents = self.encoder(images.contiguous(memory_format=torch.channels_last))[: len(self.layer_names)]
        if not self.stage.quantises:
            everything = torch.arange(len(images), device=self.device)
            decoded = self.decoded([latents], quality, [everything], self.objective.needs_images)
            prefix = Prefix(self.layer_names[-1], everything, 1.0, *decoded[0], len(images))
            return *self._distortion([prefix], batch), [prefix]
        coded = self.entropy(latents, quality, self._quantiser(), random, batch_slice)
        rows = [layer.shape[1] for layer in latents]
        total, values = self.objective.rate(coded.row_bits, rows, self.lambdas[quality], self.size**2)
        # Drawn on the CPU, where the numbers of images are needed.
        draws = self.step_generator(PREFIXES, torch.device("cpu"))
        prefixes = self._decoded_prefixes(coded.prefixes, quality, draws, batch_slice, batch.get("large"))
        term = self._distortion(prefixes, batch)
        total, values = total + term.total, values | term.parts
        values["zero_symbols"] = torch.cat([s.flatten() for s in coded.symbols]).eq(0).float().mean()
        return total, values, prefixes

    def _all_images(self, prefixes: Sequence[Prefix]) -> Tensor:
        """Images of all prefixes [N, 3, S, S], in an order that is the same for all slices of a step: that of the batch
        or, if every prefix of every image is decoded, that of the prefixes.
        """
        images = torch.cat([prefix.images for prefix in prefixes])
        if self.stage.prefixes == "all":
            return images
        return images[torch.cat([prefix.chosen for prefix in prefixes]).argsort()]

    def _at_size(self, images: Tensor) -> Tensor:
        """Images [N, 3, S, S] at the model's size; larger ones are averaged. S: that size, the full size, or 0."""
        return small_pictures(images, self.size) if images.shape[-1] > self.size else images

    def _views(self, images: Tensor, textured: Sequence[bool]) -> Tensor:
        """The discriminator's inputs: all images at the model's size, and of the textured ones, which have the full
        size, a window of the model's size, at the same place in all images of a step.
        """
        whole = self._at_size(images)
        if not any(textured):
            return whole
        random = self.step_generator(WINDOW, torch.device("cpu"))
        top, left = torch.randint(images.shape[-1] - self.size + 1, (2,), generator=random).tolist()
        chosen = torch.tensor([index for index, wanted in enumerate(textured) if wanted])
        windows = images[..., top : top + self.size, left : left + self.size]
        return torch.cat([whole, windows[chosen.to(images.device, non_blocking=True)]])

    def _decoded_prefixes(
        self,
        prefixes: list[list[Tensor]],
        quality: Tensor,
        random: torch.Generator,
        batch_slice: BatchSlice,
        large: Sequence[bool] | None = None,
    ) -> list[Prefix]:
        """Every prefix of all images, or one drawn for each image, of those that the objective compares. A layer that
        was drawn only in other slices has no images and portion 0 here, so that all slices log the same names. Small
        images come first.
        """
        everything, layers = torch.arange(len(quality)), self.layer_names[: len(prefixes)]
        asked = [j for j, layer in enumerate(layers) if self.objective.compares(layer)] or list(range(len(prefixes)))
        prefixes, layers = [prefixes[j] for j in asked], [layers[j] for j in asked]
        if self.stage.prefixes == "all":
            chosen, portions, drawn = [everything] * len(prefixes), [1.0] * len(prefixes), [1] * len(prefixes)
        else:
            whole = (batch_slice.stride * len(quality),)
            # Equally many images of each, since some devices recompile their kernels for every new number.
            draw = torch.randperm(*whole, generator=random) % len(prefixes)
            chosen = [everything[batch_slice.of(draw) == j] for j in range(len(prefixes))]
            drawn = draw.bincount(minlength=len(prefixes)).tolist()
            portions = [batch_slice.stride * len(own) / max(count, 1) for own, count in zip(chosen, drawn, strict=True)]
        is_large = torch.zeros(len(quality), dtype=torch.bool) if large is None else torch.tensor(large)
        small = [int((~is_large[own]).sum()) for own in chosen]
        chosen = [own[is_large[own].int().argsort(stable=True)] for own in chosen]
        chosen = [own.to(quality.device, non_blocking=True) for own in chosen]
        decoded = self.decoded(prefixes, quality, chosen, self.objective.needs_images)
        by_layer = zip(layers, chosen, portions, decoded, small, drawn, strict=True)
        return [
            Prefix(layer, own, portion, styles, images, num_small)
            for layer, own, portion, (styles, images), num_small, anywhere in by_layer
            if anywhere
        ]

    def _distortion(self, prefixes: Sequence[Prefix], batch: dict[str, Any]) -> Terms:
        """The task losses of the layers, and the distance of decoded W+ from known W+."""
        total, parts = torch.zeros((), device=self.device), dict[str, Tensor]()
        terms = [self.objective.distortion(faces) for faces in self._compared(prefixes, batch)]
        if self.stage.styles:
            known = batch["styles"]
            terms += [self.objective.styles(p.layer, p.styles, known[p.chosen], p.portion) for p in prefixes]
        for term in terms:
            total = total + term.total
            for name, value in term.parts.items():
                parts[name] = parts.get(name, 0) + value
        return Terms(total, parts)

    def _compared(self, prefixes: Sequence[Prefix], batch: dict[str, Any]) -> list[list[Compared]]:
        """Decoded images paired with their originals: those compared at the model's size, then any at the full size."""
        at_size, at_full_size = list[Compared](), list[Compared]()
        for prefix in prefixes:
            images, originals = prefix.images, batch["image"][prefix.chosen]
            landmarks = batch["landmarks"][prefix.chosen] if "landmarks" in batch else None
            small, large = slice(prefix.num_small), slice(prefix.num_small, None)
            scaled = None if landmarks is None else landmarks[small] * (self.size / originals.shape[-1])
            pair = self._at_size(images[small]), self._at_size(originals[small])
            share = len(pair[0]) / max(len(images), 1)
            at_size.append(Compared(prefix.layer, prefix.portion * share, *pair, scaled))
            if len(images) > prefix.num_small:
                points = None if landmarks is None else landmarks[large]
                counts = prefix.portion * (1 - share)
                at_full_size.append(Compared(prefix.layer, counts, images[large], originals[large], points))
        return [at_size, at_full_size] if at_full_size else [at_size]

    def decoded(
        self, prefixes: Sequence[list[Tensor]], quality: Tensor, chosen: Sequence[Tensor], draw: bool = True
    ) -> list[tuple[Tensor, Tensor]]:
        """For each prefix (latents [N, rows, dim] per layer), W+ and images of the chosen indices, in a single pass of
        the generator; if no images are needed, they have no pixels and there is no pass.
        """
        latents = [
            torch.cat([prefix[k][index] for prefix, index in zip(prefixes, chosen, strict=True)])
            for k in range(len(prefixes[0]))
        ]
        quality = quality[torch.cat(list(chosen))]
        heads, generator = self.decoder.heads, self.decoder.generator
        if draw and not self._linear:
            styles, images = heads.draw(generator, latents, quality, full=self.stage.decode_with == "full")
        elif draw:
            styles = self.decoder.styles(latents, quality)
            images = enlarged(_picture_heads(heads).picture(latents).large, self.size)
        else:
            styles = self.decoder.styles(latents, quality)
            images = styles.new_zeros(len(styles), 3, 0, 0)
        sizes = [len(index) for index in chosen]
        return list(zip(styles.split(sizes), images.float().split(sizes), strict=True))

    @property
    def _linear(self) -> bool:
        """Whether the stage decodes to the linear path's pictures."""
        return self.stage.decode_with == "linear"

    def _quantiser(self) -> Any:
        late = self.step >= self.stage.round_after * self.stage.steps
        return "round" if late or self.stage.quantise == "round" else "noise"

    def _rate(self) -> float:
        return self.trainer.optimizers[0].param_groups[0]["lr"]

    def on_validation_epoch_start(self) -> None:
        # After the averaging callback has put the average in place.
        if self.stage.quantises:
            self._released = (Codec.export(self.config.model, self.networks(), self.entropy.net),)

    def on_validation_epoch_end(self) -> None:
        self._released = ()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> CodecOutput:  # type: ignore[override]
        originals, names = batch["image"], batch["name"]
        if not self._released:
            return self._reconstructions(originals, names)  # inversion
        (codec,) = self._released
        coded = codec.encode(codec.analyse(originals)[: len(self.layer_names)])
        layers = {}
        for j, layer in enumerate(self.layer_names):
            decoded = codec.decode(coded, j + 1)
            shown = (
                _picture_heads(codec.heads).picture(decoded.latents).large
                if self._linear
                else codec.synthesise(decoded.latents, decoded.quality, self.stage.decode_with == "full")
            )
            images = resize(shown, originals.shape[-1])
            layers[layer] = LayerOutput(images, coded.bits(j + 1), coded.prefix_lengths[:, j].double())
        symbols = dict(zip(self.layer_names, coded.symbols, strict=False))
        row_bits = torch.cat([layer.row_bits for layer in coded.layers], 1)
        return CodecOutput(originals, names, layers, symbols, row_bits)

    def _reconstructions(self, originals: Tensor, names: list[str]) -> CodecOutput:
        """Images from the unquantised latents, as the last layer's images; there is no rate."""
        small = resize(originals, self.size).contiguous(memory_format=torch.channels_last)
        quality = torch.full((len(names),), len(self.lambdas) - 1, device=self.device)
        images = resize(self.decoder(self.encoder(small), quality).float(), originals.shape[-1])
        return output_without_rate(originals, names, self.layer_names[-1], images)


def _picture_heads(heads: Heads) -> PictureHeads:
    """The heads of a model with a linear path."""
    assert isinstance(heads, PictureHeads)
    return heads
