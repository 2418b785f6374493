"""The codec at work: faces to files and back, every prefix of a file decodable.

```
image ─encoder─▶ latents of each layer ─LayerCoder─▶ chunks ─container─▶ file
image ◀─generator─ W+ ◀─heads─ latents, missing layers filled ◀─LayerCoder─ chunks ◀─┘
```
Encoder, heads and generator may differ in their last bits from machine to machine; what the two sides must agree on,
means and scale classes, comes from integer arithmetic (`hsc.nets.entropy_integer`) and a stored table.
"""

import hashlib
import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hsc.coding.container import Container, Header, read, storable_side, write
from hsc.coding.tables import FrequencyTable
from hsc.config import ModelConfig
from hsc.errors import HscError
from hsc.images import resize
from hsc.layer_coder import CodedLayer, LayerCoder
from hsc.nets.build import bands, image_size
from hsc.nets.encoder import PyramidEncoder
from hsc.nets.entropy import EntropyTransformer
from hsc.nets.entropy_integer import IntegerEntropyTransformer, Progress
from hsc.nets.generator import Generator
from hsc.nets.heads import StyleHeads, decode
from hsc.nets.quantise import Gain

BYTES_AIMED_AT = 100  # what the default quality is nearest to


class DamagedFile(UserWarning):
    """Some layer of a file is torn or altered; only the layers before it were decoded."""


class OtherModel(HscError):
    """A file that needs other weights."""

    def __init__(self, model_id: int, given: str) -> None:
        super().__init__(
            f"the file was made by model {model_id:04x}, this is {given}; give the model it was made with (--model)"
        )
        self.model_id, self.given = model_id, given


class Networks(NamedTuple):
    """The floating-point parts."""

    encoder: PyramidEncoder
    gain: Gain
    heads: StyleHeads
    generator: Generator


class Decoded(NamedTuple):
    """What a decoder knows, and where the entropy model stands after it."""

    symbols: list[Tensor]  # int64 [N, rows, dim] of each known layer
    latents: list[Tensor]  # float [N, rows, dim] of each known layer
    progress: Progress  # before the first unknown layer
    quality: Tensor  # [N]


class Coded(NamedTuple):
    """Faces coded in memory."""

    files: list[bytes]
    prefix_lengths: Tensor  # [N, layers] bytes of the file up to each layer
    coded: list[CodedLayer]
    quality: Tensor  # [N]

    @property
    def symbols(self) -> list[Tensor]:
        """int64 [N, rows, dim] of each layer."""
        return [layer.symbols for layer in self.coded]

    def bits(self, layers: int) -> Tensor:
        """[N] ideal bits of the first `layers` layers."""
        return torch.cat([layer.row_bits for layer in self.coded[:layers]], 1).sum(1)

    def decoded(self, layers: int) -> Decoded:
        """What a decoder knows after the first `layers` layers."""
        known = self.coded[:layers]
        symbols, latents = [layer.symbols for layer in known], [layer.latents for layer in known]
        return Decoded(symbols, latents, known[-1].progress, self.quality)


class Codec:
    """A trained codec. `hsc.load` makes one from weights; `export` from networks in training.

    layers: their names, in coding order · size: pixels of its own images · num_qualities: levels, 0 has the fewest
    bytes.
    """

    def __init__(
        self,
        model: ModelConfig,
        networks: Networks,
        entropy: IntegerEntropyTransformer,
        table: FrequencyTable,
        name: str = "codec",
        card: dict[str, Any] | None = None,
    ) -> None:
        self.model, self.networks, self.entropy, self.table = model, networks, entropy, table
        self.name, self.card = name, card or {}
        self.layers = tuple(model.layers)
        self.size = image_size(model)
        self.num_qualities = len(model.lambdas)
        rows = [rows for rows, _ in bands(model)]
        self._coder = LayerCoder(rows, entropy, table, networks.gain)

    @classmethod
    def export(
        cls, model: ModelConfig, networks: Networks, entropy: EntropyTransformer, name: str = "codec"
    ) -> "Codec":
        """A codec around networks in training (shared, not copied), with a fresh integer twin of the entropy model."""
        table = FrequencyTable.gaussian()
        return cls(model, networks, IntegerEntropyTransformer.from_float(entropy, table.num_classes), table, name)

    @property
    def generator(self) -> Generator:
        """The prior, for whoever wants faces of it."""
        return self.networks.generator

    @property
    def device(self) -> torch.device:
        return next(self.networks.heads.parameters()).device

    @property
    def default_quality(self) -> int:
        """The level whose files, where they were measured, come nearest to 100 bytes; else the middle one."""
        measured = self.card.get("bytes_per_face")
        if not measured:
            return self.num_qualities // 2
        return int(np.argmin(np.abs(np.array(measured) - BYTES_AIMED_AT)))

    @cached_property
    def model_id(self) -> int:
        """16 bits that name everything a decoder needs: files say which model they are for."""
        digest = hashlib.sha256()
        _, gain, heads, generator = self.networks
        for part in (self.entropy, gain, heads, generator.synthesis_network):
            for key, value in sorted(part.state_dict().items()):
                digest.update(key.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        digest.update(generator.mean_w.cpu().numpy().tobytes() + self.table.frequencies.tobytes())
        return int.from_bytes(digest.digest()[:2])

    def compress(self, images: Tensor, quality: int | None = None, layers: int | None = None) -> list[bytes]:
        """images [N, 3, S, S] in [-1, 1] → one file each, of the first `layers` layers (default all).

        Images of another size than the codec's are resized; the file keeps their size for the decoder.
        """
        return self.code(images, quality, layers).files

    def decompress(
        self, files: Sequence[bytes], layers: int | None = None, native: bool = False, strict: bool = False
    ) -> list[Tensor]:
        """Files → images [3, S, S] in [-1, 1] from their first `layers` layers (default: all that each holds).

        At the size stored in the file, or with `native` at the codec's own. A damaged layer ends what is decoded, with
        a DamagedFile warning, or with `strict` raises. Raises HscError for bytes that are no file of this model, or
        hold fewer layers than asked for.
        """
        self._check_layers(layers)
        containers = [self.open(data, layers, strict) for data in files]
        for index, container in enumerate(containers):
            if container.damage:
                warnings.warn(DamagedFile(f"file {index}: {container.damage}; decoded the layers before"), stacklevel=2)
        pictures = self.pictures(containers)
        if native:
            return pictures
        sizes = [container.header.size for container in containers]
        return [resize(picture[None], size)[0] for picture, size in zip(pictures, sizes, strict=True)]

    def pictures(self, containers: Sequence[Container]) -> list[Tensor]:
        """What opened files show, [3, size, size] in [-1, 1] at the codec's own size."""
        images: list[Tensor] = [torch.empty(0)] * len(containers)
        by_depth: dict[int, list[int]] = {}
        for index, container in enumerate(containers):
            by_depth.setdefault(len(container.chunks), []).append(index)
        for indices in by_depth.values():
            shown = self.render(self.decode_latents([containers[index] for index in indices]))
            for index, image in zip(indices, shown, strict=True):
                images[index] = image
        return images

    def open(self, data: bytes, layers: int | None = None, strict: bool = False) -> Container:
        """Parse a file and keep its first `layers` layers; the checks that `decompress` makes."""
        container = read(data)
        if container.header.model_id != self.model_id:
            raise OtherModel(container.header.model_id, f"{self.name} ({self.model_id:04x})")
        if container.header.quality >= self.num_qualities or len(container.chunks) > len(self.layers):
            raise HscError(f"the file's header does not fit model {self.name}; it was altered")
        if strict and container.damage:
            raise HscError(container.damage)
        held = len(container.chunks)
        if held == 0:
            raise HscError(f"no layer of the file can be decoded: {container.damage or 'it holds none'}")
        if layers is not None and layers > held:
            names = ", ".join(self.layers[:held])
            raise HscError(
                f"the file holds {held} intact layer{'s' * (held > 1)} ({names}), not {layers}; ask for at most {held}"
            )
        return container._replace(chunks=container.chunks[: layers or held])

    @torch.no_grad()
    def code(self, images: Tensor, quality: int | None = None, layers: int | None = None) -> Coded:
        """Code images and keep everything that is known on the way; see `compress`."""
        side = self._check_images(images, quality, layers)
        level = self.default_quality if quality is None else quality
        return self.code_latents(self.latents(images)[: layers or len(self.layers)], level, side)

    def latents(self, images: Tensor) -> list[Tensor]:
        """What the encoder makes of images of any size: [N, rows, dim] for each layer.

        Raises HscError where that is not finite.
        """
        with torch.autocast(self.device.type, enabled=False):
            small = resize(images.to(self.device).float(), self.size).contiguous(memory_format=torch.channels_last)
            latents: list[Tensor] = self.networks.encoder(small)
        if not all(layer.isfinite().all() for layer in latents):
            raise HscError("the encoder gives no finite numbers: an image holds NaN, or training went astray")
        return latents

    @torch.no_grad()
    def code_latents(self, latents: Sequence[Tensor], level: int, side: int) -> Coded:
        """Quantise and code the latents of the first len(latents) layers, of images of `side` pixels, at a quality."""
        q = torch.full((len(latents[0]),), level, device=self.device)
        progress, coded = self._coder.begin(q), []
        for layer, values in enumerate(latents):
            coded.append(self._coder.encode(progress, layer, values, q))
            progress = coded[-1].progress
        header = Header(self.model_id, level, storable_side(side))
        chunks = list(zip(*(layer.chunks for layer in coded), strict=True))
        files = [write(header, chunk) for chunk in chunks]
        lengths = [[len(write(header, chunk[: k + 1])) for k in range(len(coded))] for chunk in chunks]
        return Coded(files, torch.tensor(lengths).reshape(len(files), len(coded)), coded, q)

    @torch.no_grad()
    def reconstruct(self, coded: Coded, layers: int) -> Tensor:
        """What a decoder shows of the first `layers` layers: [N, 3, size, size]."""
        return self.render(coded.decoded(layers))

    @torch.no_grad()
    def decode_latents(self, containers: Sequence[Container]) -> Decoded:
        """Symbols and latents of files with equally many layers."""
        quality = torch.tensor([container.header.quality for container in containers], device=self.device)
        progress, layers = self._coder.begin(quality), []
        for layer in range(len(containers[0].chunks)):
            chunks = [container.chunks[layer] for container in containers]
            layers.append(self._coder.decode(progress, layer, chunks, quality))
            progress = layers[-1].progress
        return Decoded([layer.symbols for layer in layers], [layer.latents for layer in layers], progress, quality)

    @torch.no_grad()
    def render(self, decoded: Decoded) -> Tensor:
        """Latents of the first layers → images [N, 3, size, size]; layers not known are filled."""
        return self.draw(self.filled(decoded), decoded.quality)

    @torch.no_grad()
    def filled(self, decoded: Decoded) -> list[Tensor]:
        """The latents of all layers: those known, and what a decoder takes for the others."""
        latents, progress = list(decoded.latents), decoded.progress
        for layer in range(len(latents), len(self.layers)):
            filled = self._coder.fill(progress, layer, decoded.quality)
            latents.append(filled.latents)
            progress = filled.progress
        return latents

    def draw(self, latents: Sequence[Tensor], quality: Tensor) -> Tensor:
        """Latents of all layers → images [N, 3, size, size], differentiably."""
        with torch.autocast(self.device.type, enabled=False):
            return decode(self.networks.heads, self.networks.generator, latents, quality).float()

    def _check_images(self, images: Tensor, quality: int | None, layers: int | None) -> int:
        if images.ndim != 4 or images.shape[1] != 3 or images.shape[2] != images.shape[3]:
            raise HscError(
                f"images must be square, [N, 3, S, S], not {tuple(images.shape)}; crop and align faces first"
            )
        if quality is not None and not 0 <= quality < self.num_qualities:
            raise HscError(f"quality {quality} is not one of 0 … {self.num_qualities - 1}")
        self._check_layers(layers)
        return images.shape[-1]

    def _check_layers(self, layers: int | None) -> None:
        if layers is not None and not 1 <= layers <= len(self.layers):
            raise HscError(f"layers {layers} is not one of 1 … {len(self.layers)} ({', '.join(self.layers)})")
