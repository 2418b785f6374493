"""The codec at work: faces to files and back, every prefix of a file decodable.

```
image ─encoder─▶ y·gain ─(− mean)─ round ─▶ symbols ─range coder─▶ chunk of each layer
                            ▲                  │
      integer entropy transformer ◀── ŷ = symbols + mean ──▶ ÷ gain ─heads─▶ W+ ─generator─▶ image
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

from hsc.coding.chunk import ChunkDecoder, encode_chunk
from hsc.coding.container import Container, Header, read, storable_side, write
from hsc.coding.tables import FrequencyTable
from hsc.config import ModelConfig
from hsc.errors import HscError
from hsc.images import resize
from hsc.nets.build import image_size
from hsc.nets.encoder import PyramidEncoder
from hsc.nets.entropy import EntropyTransformer, Memory
from hsc.nets.entropy_integer import IntegerEntropyTransformer
from hsc.nets.fixed_point import LATENT_BITS
from hsc.nets.generator import Generator
from hsc.nets.heads import StyleHeads
from hsc.nets.quantise import Gain

BYTES_AIMED_AT = 100  # what the default quality is nearest to


class DamagedFile(UserWarning):
    """Some layer of a file is torn or altered; only the layers before it were decoded."""


class Networks(NamedTuple):
    """The floating-point parts."""

    encoder: PyramidEncoder
    gain: Gain
    heads: StyleHeads
    generator: Generator


class Decoded(NamedTuple):
    """Latents on the decoder's side, and where the entropy model stands after them."""

    latents: list[Tensor]  # float [N, rows, dim] of each known layer
    memory: Memory  # before the first unknown layer


class Coded(NamedTuple):
    """Faces coded in memory."""

    files: list[bytes]
    prefix_lengths: Tensor  # [N, layers] bytes of the file up to each layer
    symbols: list[Tensor]  # int64 [N, rows, dim] of each layer
    row_bits: Tensor  # [N, rows] ideal bits of each row, −log2 of the table's frequencies
    decoded: list[Decoded]  # after each layer
    quality: Tensor  # [N]

    def bits(self, layers: int) -> Tensor:
        """[N] ideal bits of the first `layers` layers."""
        rows = sum(layer.shape[1] for layer in self.symbols[:layers])
        return self.row_bits[:, :rows].sum(1)


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
        ends = np.cumsum([layer.rows for layer in model.layers.values()]).tolist()
        self._bands = [range(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]

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
        images: list[Tensor] = [torch.empty(0)] * len(files)
        by_depth: dict[int, list[int]] = {}
        for index, container in enumerate(containers):
            by_depth.setdefault(len(container.chunks), []).append(index)
        for indices in by_depth.values():
            chosen = [containers[i] for i in indices]
            quality = torch.tensor([container.header.quality for container in chosen], device=self.device)
            pictures = self._render(self._decode(chosen, quality), quality)
            for index, picture in zip(indices, pictures, strict=True):
                size = self.size if native else containers[index].header.size
                images[index] = resize(picture[None], size)[0]
        return images

    def open(self, data: bytes, layers: int | None = None, strict: bool = False) -> Container:
        """Parse a file and keep its first `layers` layers; the checks that `decompress` makes."""
        container = read(data)
        if container.header.model_id != self.model_id:
            raise HscError(
                f"the file was made by model {container.header.model_id:04x}, "
                f"this is {self.name} ({self.model_id:04x}); "
                "give the model it was made with (--model)"
            )
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
        count = layers or len(self.layers)
        q = torch.full((len(images),), level, device=self.device)
        with torch.autocast(self.device.type, enabled=False):
            small = resize(images.to(self.device).float(), self.size).contiguous(memory_format=torch.channels_last)
            latents = self.networks.encoder(small)[:count]
            if not all(layer.isfinite().all() for layer in latents):
                raise HscError("the encoder gives no finite numbers: an image holds NaN, or training went astray")
            memory = self.entropy.begin(q)
            symbols, row_bits, payloads = [], [], []
            decoded: list[Decoded] = []
            for layer, values in enumerate(latents):
                coded, classes, rows, memory = self._quantise_layer(memory, layer, values, q)
                bits = self.table.bits(coded.cpu().numpy(), classes.cpu().numpy())
                row_bits.append(torch.from_numpy(bits.sum(-1)))
                symbols.append(coded)
                decoded.append(Decoded([*(decoded[-1].latents if decoded else []), rows], memory))
                flat = zip(coded.flatten(1).cpu().numpy(), classes.flatten(1).cpu().numpy(), strict=True)
                payloads.append([encode_chunk(s, c, self.table) for s, c in flat])
        header = Header(self.model_id, level, storable_side(side))
        chunks = list(zip(*payloads, strict=True))
        files = [write(header, chunk) for chunk in chunks]
        lengths = torch.tensor([[len(write(header, chunk[: k + 1])) for k in range(count)] for chunk in chunks])
        return Coded(files, lengths.reshape(len(files), count), symbols, torch.cat(row_bits, 1), decoded, q)

    @torch.no_grad()
    def reconstruct(self, coded: Coded, layers: int) -> Tensor:
        """What a decoder shows of the first `layers` layers: [N, 3, size, size]."""
        return self._render(coded.decoded[layers - 1], coded.quality)

    def _quantise_layer(
        self, memory: Memory, layer: int, latents: Tensor, quality: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Memory]:
        """→ symbols, scale classes, decoded latents, memory after the layer."""
        symbols, classes, decoded = [], [], []
        for step, rows, gain in self._steps(layer, quality):
            mean, scale_class = self.entropy.predict(memory, step)
            start = rows.start - self._bands[layer].start
            residual = latents[:, start : start + len(rows)] * gain - mean / 2**LATENT_BITS
            symbols.append(residual.round().long())
            classes.append(scale_class)
            memory, values = self._accept(memory, step, symbols[-1], mean, gain)
            decoded.append(values)
        return torch.cat(symbols, 1), torch.cat(classes, 1), torch.cat(decoded, 1), memory

    @torch.no_grad()
    def _decode(self, containers: Sequence[Container], quality: Tensor) -> Decoded:
        """Latents of files with equally many layers."""
        memory = self.entropy.begin(quality)
        latents = []
        for layer in range(len(containers[0].chunks)):
            decoders = [ChunkDecoder(container.chunks[layer], self.table) for container in containers]
            decoded = []
            for step, _, gain in self._steps(layer, quality):
                mean, scale_class = self.entropy.predict(memory, step)
                classes = scale_class.flatten(1).cpu().numpy()
                integers = np.stack([decoder.decode(c) for decoder, c in zip(decoders, classes, strict=True)])
                symbols = torch.from_numpy(integers.astype(np.int64)).view(mean.shape).to(self.device)
                memory, values = self._accept(memory, step, symbols, mean, gain)
                decoded.append(values)
            for decoder in decoders:
                decoder.finish()
            latents.append(torch.cat(decoded, 1))
        return Decoded(latents, memory)

    def _accept(self, memory: Memory, step: int, symbols: Tensor, mean: Tensor, gain: Tensor) -> tuple[Memory, Tensor]:
        """Memory with a step's rows, and their latents."""
        quantised = (symbols << LATENT_BITS) + mean
        if step + 1 < len(self.entropy.step_rows):
            memory = self.entropy.observe(memory, step, quantised)
        return memory, (quantised / 2**LATENT_BITS).float() / gain

    def _fill(self, decoded: Decoded, quality: Tensor) -> list[Tensor]:
        """All layers' latents: those not known are decoded as if all their symbols were zero."""
        latents, memory = list(decoded.latents), decoded.memory
        for layer in range(len(latents), len(self.layers)):
            rows = []
            for step, _, gain in self._steps(layer, quality):
                mean, _ = self.entropy.predict(memory, step)
                memory, values = self._accept(memory, step, torch.zeros_like(mean), mean, gain)
                rows.append(values)
            latents.append(torch.cat(rows, 1))
        return latents

    @torch.no_grad()
    def _render(self, decoded: Decoded, quality: Tensor) -> Tensor:
        with torch.autocast(self.device.type, enabled=False):
            generator = self.networks.generator
            styles = generator.mean_w + self.networks.heads(self._fill(decoded, quality), quality)
            return generator.synthesis(styles).float()

    def _steps(self, layer: int, quality: Tensor) -> list[tuple[int, range, Tensor]]:
        """(step, its rows, their gain [N, rows, dim]) of a layer."""
        band = self._bands[layer]
        steps = [(step, rows) for step, rows in enumerate(self.entropy.step_rows) if rows.start in band]
        return [(step, rows, self.networks.gain.rows(quality, rows)) for step, rows in steps]

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
