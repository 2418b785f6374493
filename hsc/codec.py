"""The codec: faces to files and back, with every prefix of a file decodable.

```
        analyse                         encode
image ─encoder─▶ latents of each layer ─LayerCoder─▶ chunks ─container─▶ file
image ◀─generator─ W+ ◀─heads─ latents, missing layers filled ◀─LayerCoder─ chunks ◀─┘
        synthesise                      decode
```
`compress` is the first line, `decompress` the second.

Outputs of encoder, heads and generator may differ in their last bits between machines. Means and scale classes, on
which encoder and decoder must agree, come from integer arithmetic (`hsc.nets.entropy_integer`) and a stored table.
"""

import hashlib
import html
import itertools
import warnings
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from hsc.checkpoints.weights_file import network_hash
from hsc.coding.container import Container, Header, read, read_file, write
from hsc.coding.tables import FrequencyTable
from hsc.config import ModelConfig
from hsc.devices import computes_bfloat16
from hsc.errors import HscError
from hsc.files import json_hash
from hsc.images import Picture, pictures_at_once, resize, to_tensors
from hsc.layer_coder import CodedLayer, LayerCoder
from hsc.nets.build import bands, image_size
from hsc.nets.encoder import PyramidEncoder
from hsc.nets.entropy import EntropyTransformer
from hsc.nets.entropy_integer import IntegerEntropyTransformer
from hsc.nets.generator import Generator
from hsc.nets.heads import Heads, decode
from hsc.nets.picture_heads import PictureHeads
from hsc.nets.quantise import Gain
from hsc.qualities import Qualities, highest_within

LARGEST_PICTURE = 1 << 27  # pixels that a file may request; more would let a few bytes exhaust the memory
FILE = bytes | bytearray | memoryview | str | Path  # a single file
T = TypeVar("T")


class DamagedFile(UserWarning):
    """A layer of a file is truncated or altered; only the layers before it were decoded."""


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
    heads: Heads
    generator: Generator


class Coded(NamedTuple):
    """N encoded faces, with everything the encoder knows about them."""

    files: list[bytes]
    prefix_lengths: Tensor  # int64 [N, layers]: bytes of the file up to each layer
    layers: list[CodedLayer]
    headers: list[Header]
    position: Tensor  # int64 [N], the quality as the headers have it
    quality: Tensor  # [N] in levels

    @property
    def symbols(self) -> list[Tensor]:
        """int64 [N, rows, dim] of each layer that was coded, on the CPU."""
        return [layer.decoded.symbols for layer in self.layers]

    def bits(self, layers: int) -> Tensor:
        """[N] ideal bits of the first `layers` layers."""
        return torch.cat([layer.row_bits for layer in self.layers[:layers]], 1).sum(1)


class Decoded(NamedTuple):
    """N decoded faces, as latents."""

    latents: list[Tensor]  # [N, rows, dim] of every layer; for layers not sent, their conditional means
    symbols: list[Tensor]  # int64 [N, rows, dim] of every layer, on the CPU; zeros in those not sent
    quality: Tensor  # [N] in levels
    sizes: list[tuple[int, int]]  # (width, height) stored in each file, in pixels
    held: list[int]  # how many layers of each file were read
    damage: list[str | None]  # description of the damage after those layers


class Codec(nn.Module):
    """A trained codec. `hsc.load` loads one from weights, `Codec.export` makes one from networks in training.

    `compress` encodes faces to files, `decompress` decodes files to pictures. Their steps can be called separately:
    `analyse` (pictures → latents) and `encode` (latents → files), `decode` (files → latents) and `synthesise`
    (latents → pictures). All run on the codec's device: `codec.to("cuda")`. Decoded latents are the same on every
    device; pixels may differ in their last bits.

    Attributes:
        layers: Names of the layers, in coding order.
        size: Side in pixels of the codec's own pictures; others are resized.
        full_size: Side of the larger pictures that it can decode from the same files; 0 if it has no such size.
        num_qualities: Number of trained levels. Quality 0 has the fewest bytes, `num_qualities - 1` the most;
            fractions lie between two levels.
        card: Information about the weights, such as `bytes_per_face` at each level.
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
        super().__init__()
        self.encoder, self.gain, self.heads, self.generator = networks
        self.model, self.entropy, self.table = model, entropy, table
        self.name, self.card = name, card or {}
        self.layers = tuple(model.layers)
        self.size = image_size(model)
        self.full_size = self.generator.full_size
        self.num_qualities = len(model.lambdas)
        self._coder = LayerCoder(entropy, table, networks.gain)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def export(
        cls, model: ModelConfig, networks: Networks, entropy: EntropyTransformer, name: str = "codec"
    ) -> "Codec":
        """A codec around networks in training (shared, not copied), with a fresh integer twin of the entropy model."""
        table = FrequencyTable.gaussian()
        return cls(model, networks, IntegerEntropyTransformer.from_float(entropy, table.num_classes), table, name)

    @property
    def weights_hash(self) -> str:
        """Hash of all weights: codecs with the same one encode and decode alike. `model_id` leaves out the encoder and,
        with a linear path, the decoder, on which the meaning of a file does not depend.
        """
        parts = [network_hash(part) for part in (self.entropy, *self.networks)]
        return json_hash([parts, self.table.frequencies.tolist()])

    @property
    def networks(self) -> Networks:
        """The floating-point parts."""
        return Networks(self.encoder, self.gain, self.heads, self.generator)

    @property
    def device(self) -> torch.device:
        """The device of the networks."""
        return next(self.heads.parameters()).device

    @property
    def default_quality(self) -> int:
        """The level whose measured files are nearest to 100 bytes; the middle level if there is no measurement."""
        return self._qualities.default

    @property
    def _qualities(self) -> Qualities:
        """The qualities and their measured sizes."""
        return Qualities(self.num_qualities, self.card.get("bytes_per_face"))

    @cached_property
    def model_id(self) -> int:
        """16 bits, stored in every file, that identify the weights needed to decode it.

        With a linear path they depend on the code alone, so files can be decoded by any decoder trained for it. Without
        one they depend on heads and generator as well.
        """
        digest = hashlib.sha256()
        _, gain, heads, generator = self.networks
        meaning: list[nn.Module] = [heads, generator.synthesis_network]
        mean_w = generator.mean_w.cpu().numpy().tobytes()
        if isinstance(heads, PictureHeads):
            meaning, mean_w = [heads.eigen], b""
        for part in (self.entropy, gain, *meaning):
            for key, value in sorted(part.state_dict().items()):
                digest.update(key.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        digest.update(mean_w + self.table.frequencies.tobytes())
        return int.from_bytes(digest.digest()[:2])

    @torch.no_grad()
    def compress(
        self,
        faces: Picture | Sequence[Picture],
        quality: float | None = None,
        layers: int | None = None,
        *,
        bytes: int | None = None,
        value_range: tuple[float, float] | None = None,
    ) -> Any:
        """Encode faces to files.

        Args:
            faces: A PIL image, a path, a uint8 array [H, W, 3], or a tensor [3, H, W], uint8 or floating-point in
                [-1, 1]; or a list of these, an array [N, H, W, 3] or a tensor [N, 3, H, W]. They are square crops of
                aligned faces of any size: the codec resizes them, and the file stores the size for the decoder.
            quality: 0 to `num_qualities - 1`, fractions included; by default the level nearest to 100 bytes.
            layers: How many of the first layers to code; by default all.
            bytes: Instead of `quality`: use the highest quality whose file has at most this many bytes, for each face.
            value_range: (black, white) of floating-point tensors that are not in [-1, 1].

        Returns:
            The file as `bytes` for a single picture, a list of files otherwise.

        Raises:
            HscError: For pictures that are not square; for floats outside their range or, without `value_range`, all
                within [0, 1], where the range is ambiguous; and for a quality, a number of layers or a number of bytes
                that the codec does not support.

        Examples:
            >>> file = codec.compress("face.png", bytes=120)
            >>> len(file) <= 120
            True
        """
        self._check_layers(layers)
        single, given = to_tensors(faces, value_range)
        small = ((self._at_own_size(face[None])[0], (face.shape[-1], face.shape[-2])) for face in given)
        files = []
        for batch in batches(small, pictures_at_once(self.size)):
            pictures, sizes = zip(*batch, strict=True)
            latents = self.analyse(torch.stack(pictures))[:layers]
            files += self.encode(latents, quality, bytes=bytes, sizes=sizes).files
        return files[0] if single else files

    @torch.no_grad()
    def decompress(
        self,
        files: Any,
        layers: int | None = None,
        native: bool = False,
        strict: bool = False,
        side: int | None = None,
    ) -> Any:
        """Decode files to pictures.

        Args:
            files: A file, as `bytes` or as a path, or a list of them.
            layers: Decode at most this many of the first layers; by default all layers in the file.
            native: Return pictures of the codec's own size instead of the size stored in the file.
            strict: Raise for a truncated or altered file; otherwise the layers before the damage are decoded.
            side: Return square pictures of this many pixels a side. Above the codec's own size they are decoded at its
                full size, if it has one, and resized.

        Returns:
            A float32 tensor [3, H, W] in [-1, 1] on the codec's device for a single file, a list of them otherwise.

        Raises:
            HscError: For bytes that are not a file of this codec (`OtherModel` names the codec), that have no intact
                layer, or that request a picture of more than 2^27 pixels.

        Warns:
            DamagedFile: If layers were not decoded because they are truncated or altered.

        Examples:
            >>> picture = codec.decompress(file, layers=1)
            >>> tuple(picture.shape)
            (3, 128, 128)
        """
        if side is not None and (native or side < 1):
            raise HscError(f"side {side} must be 1 or more pixels, and excludes native")
        single = isinstance(files, FILE) or not isinstance(files, Sequence)
        contents = (_content(file) for file in ([files] if single else files))
        pictures: list[Tensor] = []
        for batch in batches(contents, pictures_at_once(self.size)):
            decoded = self.decode(batch, layers, strict)
            for index, damage in enumerate(decoded.damage, len(pictures)):
                if damage:
                    warnings.warn(DamagedFile(f"file {index}: {damage}; decoded the layers before"), stacklevel=2)
            pictures += self.pictures(decoded, native, side)
        return pictures[0] if single else pictures

    def analyse(self, faces: Tensor) -> list[Tensor]:
        """The first step of `compress`: pictures [N, 3, S, S] in [-1, 1] → latents, one [N, rows, dim] per layer.

        Pictures of another size than the codec's are resized. Differentiable. Raises HscError if a picture is not
        square or a latent is not finite.
        """
        with torch.autocast(self.device.type, enabled=False):
            small = self._at_own_size(faces).contiguous(memory_format=torch.channels_last)
            latents: list[Tensor] = self.encoder(small)
        if not torch.stack([layer.isfinite().all() for layer in latents]).all():  # one synchronisation with the device
            raise HscError("the encoder's output is not finite: an image contains NaN, or training has diverged")
        return latents

    @torch.no_grad()
    def encode(
        self,
        latents: Sequence[Tensor],
        quality: float | Sequence[float] | Tensor | None = None,
        *,
        bytes: int | None = None,
        sizes: Sequence[tuple[int, int]] | None = None,
    ) -> Coded:
        """The second step of `compress`: quantise and code the latents of the first len(latents) layers.

        Args:
            latents: [N, rows, dim] of each layer to be coded, as returned by `analyse`.
            quality: As for `compress`, one for all or one for each face.
            bytes: Instead of `quality`: the maximum size of a file.
            sizes: (width, height) in pixels at which each file should be displayed; by default the codec's own.

        Returns:
            The files, with symbols, bits and sizes of their prefixes.

        Raises:
            HscError: For a quality or a number of bytes that the codec does not support, and sizes beyond 65,535.
        """
        count = len(latents[0])
        sizes = sizes or [(self.size, self.size)] * count
        if bytes is None:
            return self._encode_at(latents, self._qualities.positions(quality, count), sizes)
        if quality is not None:
            raise HscError("quality and bytes cannot be combined; give one of them")
        tried: list[Coded] = []

        def size_of(positions: np.ndarray) -> np.ndarray:
            tried.append(self._encode_at(latents, torch.from_numpy(positions), sizes))
            return np.array([len(file) for file in tried[-1].files])

        found = torch.from_numpy(highest_within(size_of, count, self._qualities.typical_bytes(), bytes))
        if (found < 0).any():
            smallest = max(map(len, self._encode_at(latents, torch.zeros_like(found), sizes).files))
            raise HscError(
                f"no quality fits {bytes} bytes: the smallest file has {smallest}; allow more bytes or drop a layer "
                "(--layers)"
            )
        ready = next((coded for coded in tried if coded.position.equal(found)), None)
        return ready or self._encode_at(latents, found, sizes)

    @torch.no_grad()
    def decode(self, files: Sequence[bytes] | Coded, layers: int | None = None, strict: bool = False) -> Decoded:
        """The first step of `decompress`: files → the latents of all layers; those not sent are conditional means.

        Args:
            files: N files, or the result of `encode`, which need not be parsed again.
            layers: Decode at most this many of the first layers.
            strict: Raise for a truncated or altered file.

        Returns:
            Latents and symbols of all layers, and the headers' qualities and sizes.

        Raises:
            HscError: As `decompress`.
        """
        self._check_layers(layers)
        chunks: list[list[bytes]]
        damage: list[str | None]
        if isinstance(files, Coded):
            known, headers, position = [one.decoded for one in files.layers[:layers]], files.headers, files.position
            chunks, held, damage = [[]] * len(headers), [len(known)] * len(headers), [None] * len(headers)
        else:
            known, containers = [], [self._open(file, strict) for file in files]
            headers, damage = [one.header for one in containers], [one.damage for one in containers]
            chunks = [one.chunks[:layers] for one in containers]
            held = [len(own) for own in chunks]
            position = torch.tensor([self._qualities.position_of(header) for header in headers])
        decoded = self._coder.decode(chunks, position, known)
        return Decoded(
            [layer.latents for layer in decoded],
            [layer.symbols for layer in decoded],
            self._coder.quality(position),
            [(header.width, header.height) for header in headers],
            held,
            damage,
        )

    def synthesise(
        self, latents: Sequence[Tensor], quality: float | Tensor, full: bool = False, fast: bool = False
    ) -> Tensor:
        """The second step of `decompress`: latents of all layers → pictures [N, 3, size, size], differentiably.

        quality: [N] or one for all, in levels. full: pictures of `full_size`, if the codec has one. fast: use bfloat16
        if the device supports it, as `decompress` does; this changes a picture less (66 dB) than rounding to 8 bits
        does (59 dB). Values may lie slightly outside [-1, 1].
        """
        if not isinstance(quality, Tensor):
            quality = torch.full((len(latents[0]),), float(quality), device=self.device)
        kind = self.device.type
        with torch.autocast(kind, torch.bfloat16, enabled=fast and computes_bfloat16(kind)):
            return decode(self.heads, self.generator, latents, quality, full).float()

    @torch.no_grad()
    def pictures(self, decoded: Decoded, native: bool = False, side: int | None = None) -> Iterator[Tensor]:
        """Decoded faces as returned by `decompress`, [3, H, W] in [-1, 1], synthesised lazily.

        native, side: as for `decompress`. Raises HscError for a picture of more than 2^27 pixels.
        """
        wanted = self.size if native else side
        sizes = decoded.sizes if wanted is None else [(wanted, wanted)] * len(decoded.sizes)
        large = [bool(self.full_size) and max(size) > self.size for size in sizes]
        small = None if all(large) else self.synthesise(decoded.latents, decoded.quality, fast=True)
        for index, (width, height) in enumerate(sizes):
            if width * height > LARGEST_PICTURE:
                raise HscError(
                    f"the file asks for a picture of {width}x{height} pixels: decode it at the codec's own size "
                    "(native=True, --native)"
                )
            one = slice(index, index + 1)
            if large[index]:  # one at a time, to save memory
                latents = [layer[one] for layer in decoded.latents]
                drawn = self.synthesise(latents, decoded.quality[one], full=True, fast=True)
            else:
                assert small is not None
                drawn = small[one]
            yield resize(drawn, (width, height))[0].clamp(-1, 1)

    def __repr__(self) -> str:
        return (
            f"Codec {self.name} ({self.model_id:04x}): {self.size}x{self.size} faces, layers {', '.join(self.layers)}, "
            f"qualities 0 to {self.num_qualities - 1}{self._measured()}, on {self.device}"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows: the codec in a line, its layers in a table."""
        rows = "".join(
            f"<tr><td>{html.escape(layer)}</td><td>{count}</td><td>{dim}</td><td>{count * dim}</td></tr>"
            for layer, (count, dim) in zip(self.layers, bands(self.model), strict=True)
        )
        head = "<tr><th>layer</th><th>rows</th><th>numbers per row</th><th>numbers</th></tr>"
        return f"<p>{html.escape(repr(self))}</p><table>{head}{rows}</table>"

    def _measured(self) -> str:
        measured = self.card.get("bytes_per_face")
        return f" ({measured[0]:g} to {measured[-1]:g} bytes per face)" if measured else ""

    def _at_own_size(self, faces: Tensor) -> Tensor:
        """[N, 3, S, S] → [N, 3, size, size] where the codec is. Raises HscError for what is no square picture."""
        if faces.ndim != 4 or faces.shape[1] != 3:
            raise HscError(f"pictures must be [N, 3, S, S], not {list(faces.shape)}")
        height, width = faces.shape[-2:]
        if height != width:
            raise HscError(
                f"a picture of {width}x{height} is not square, and hsc codes square crops of aligned faces: "
                "`hsc encode --align` and `hsc data prepare` make them"
            )
        return resize(faces.to(self.device).float(), self.size)

    def _encode_at(self, latents: Sequence[Tensor], position: Tensor, sizes: Sequence[tuple[int, int]]) -> Coded:
        coded = self._coder.encode(latents, position)
        headers = [
            Header(self.model_id, where, width, height)
            for where, (width, height) in zip(position.tolist(), sizes, strict=True)
        ]
        prefixes = [
            [write(header, chunks[: count + 1]) for count in range(len(coded))]
            for header, chunks in zip(headers, zip(*(layer.chunks for layer in coded), strict=True), strict=True)
        ]
        lengths = torch.tensor([[len(prefix) for prefix in own] for own in prefixes])
        return Coded([own[-1] for own in prefixes], lengths, coded, headers, position, self._coder.quality(position))

    def _open(self, data: bytes, strict: bool) -> Container:
        """Parse a file. Raises HscError if nothing of it is for this codec."""
        container = read(data)
        header = container.header
        if header.model_id != self.model_id:
            raise OtherModel(header.model_id, f"{self.name} ({self.model_id:04x})")
        qualities = self._qualities
        if qualities.position_of(header) > qualities.last_position or len(container.chunks) > len(self.layers):
            raise HscError(f"the file's header does not match model {self.name}; it has been altered")
        if strict and container.damage:
            raise HscError(container.damage)
        if not container.chunks:
            raise HscError(f"no layer of the file can be decoded: {container.damage}")
        return container

    def _check_layers(self, layers: int | None) -> None:
        if layers is not None and not 1 <= layers <= len(self.layers):
            raise HscError(f"layers {layers} is not one of 1 … {len(self.layers)} ({', '.join(self.layers)})")


def _content(file: Any) -> bytes:
    """Of a file given as bytes or as a path."""
    if isinstance(file, str | Path):
        return read_file(Path(file))
    if isinstance(file, bytes | bytearray | memoryview):
        return bytes(file)
    raise HscError(f"a {type(file).__name__} is not an .hsc file: give bytes or a path")


def batches(items: Iterable[T], count: int) -> Iterator[list[T]]:
    """Lists of `count` items, the last perhaps of fewer."""
    waiting = iter(items)
    while batch := list(itertools.islice(waiting, count)):
        yield batch
