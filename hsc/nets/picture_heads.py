"""Decoder heads that map the linear path's picture to the inputs of a MobileStyleGAN."""

import itertools
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hsc.nets.eigenfaces import GRID, EigenSynthesis, LinearPicture
from hsc.nets.generator import Generator
from hsc.nets.heads import Heads
from hsc.nets.layers import FullyConnected, he_conv
from hsc.nets.levels import at_quality
from hsc.nets.mobile_stylegan import NUM_ROWS, Injection, MobileStyleGAN
from hsc.nets.planes import enlarged, small_pictures

CHANNELS = (48, 96, 128, 192)  # of the picture's features, from its side down to an eighth of it
SHARED = 64  # channels of the top-down pathway
RANK = 128  # of the differences between the rows of W+
MENDED = (4, 2, 1)  # the picture's side ÷ the sides of the bands in which images are corrected towards it
MENDED_AT_FIRST = 0.3
DETAILS = 48  # channels of the features of `Details`
FAINT = 0.02  # root mean square of a block at which it counts half


class PictureHeads(Heads):
    """latents (one [N, rows, dim] per layer, decoded or filled) → the linear path's picture → the generator's inputs.

    ```
    picture ─┬─▶ StylesOfPicture ──▶ W+, about the generator's mean: which face it is ───────────┐
             ├─▶ Modulation ─▶ (scale, shift) of the generator's features: its layout ───────── MobileStyleGAN ─▶ image
             ├─▶ low frequencies, towards which the final image is corrected (`mended`)
             └─▶ Details, if the picture has blocks: what else the final image takes from it
    ```
    After GFPGAN (Wang et al. 2021), which restores degraded photographs with a prior; here coding at a few bytes is
    the degradation. The only inputs of the networks are the picture and the quality, so they work with any latents
    that have a picture. All outputs are initially zero: every face is the mean face, corrected towards its picture.
    """

    def __init__(
        self, eigen: EigenSynthesis, w_dim: int, num_qualities: int, hidden: int, widths: Mapping[int, int]
    ) -> None:
        """`widths`: channels of the generator's features by their side."""
        super().__init__()
        self.eigen = eigen
        self.styles = StylesOfPicture(w_dim, num_qualities, hidden, eigen.side)
        self.modulation = Modulation(num_qualities, widths, eigen.side)
        self.mend = nn.Embedding(num_qualities, len(MENDED))
        nn.init.constant_(self.mend.weight, MENDED_AT_FIRST)
        self.details = None if eigen.blocks is None else Details(num_qualities)

    def forward(self, latents: Sequence[Tensor], quality: Tensor) -> Tensor:
        return self.styles(self.picture(latents).small, quality)

    def picture(self, latents: Sequence[Tensor]) -> LinearPicture:
        """What the linear path shows."""
        return self.eigen(latents)

    def draw(
        self, generator: Generator, latents: Sequence[Tensor], quality: Tensor, full: bool = False
    ) -> tuple[Tensor, Tensor]:
        picture = self.picture(latents)
        styles = generator.mean_w + self.styles(picture.small, quality)
        assert isinstance(generator, MobileStyleGAN)  # guaranteed by the configuration
        images = generator.synthesis(styles, inject=self.modulation(picture.small, quality), full=full)
        images = self.mended(images, picture.small, quality)
        return styles, images if self.details is None else self.details(images, picture, quality)

    def mended(self, images: Tensor, picture: Tensor, quality: Tensor) -> Tensor:
        """Images [N, 3, S, S] corrected towards the picture by a learned fraction in each of three low bands."""
        portions = at_quality(self.mend.weight, quality)
        side = picture.shape[-1]
        lacking = picture - small_pictures(images, side)
        change, held = torch.zeros_like(lacking), torch.zeros_like(lacking)
        for band, fraction in enumerate(MENDED):
            low = lacking if fraction == 1 else enlarged(F.avg_pool2d(lacking, fraction), side)
            change = change + portions[:, band, None, None, None] * (low - held)
            held = low
        return images + enlarged(change, images.shape[-1])


class StylesOfPicture(nn.Module):
    """Which face it is: picture [N, 3, side, side] in [-1, 1] and quality [N] → [N, 16, w_dim], initially zero.

    Faces are aligned, so a fully connected layer can take the whole face as input.
    """

    def __init__(self, w_dim: int, num_qualities: int, hidden: int, side: int) -> None:
        super().__init__()
        # Equalised learning rates: with so many inputs, a step would otherwise move the styles by their whole range.
        self.seen = FullyConnected(3 * (side // 2) ** 2, hidden)
        self.quality = nn.Embedding(num_qualities, hidden)
        self.mixed = FullyConnected(hidden, hidden)
        self.face = FullyConnected(hidden, w_dim)
        self.rows = nn.Sequential(FullyConnected(hidden, RANK), FullyConnected(RANK, NUM_ROWS * w_dim))
        _zero(self.quality, self.face, self.rows[1])

    def forward(self, picture: Tensor, quality: Tensor) -> Tensor:
        seen = self.seen(F.avg_pool2d(picture, 2).flatten(1))
        hidden = F.leaky_relu(seen + at_quality(self.quality.weight, quality), 0.2)
        hidden = hidden + F.leaky_relu(self.mixed(hidden), 0.2)
        return self.face(hidden)[:, None] + self.rows(hidden).unflatten(1, (NUM_ROWS, -1))


class Modulation(nn.Module):
    """The layout of the face: picture [N, 3, side, side] in [-1, 1] and quality [N] → (scale, shift) of the generator's
    features by side, initially zero.

    ```
    picture 64² ─▶ 64² ─▶ 32² ─▶ 16² ─▶ 8²
                    ▼      ▼      ▼     ▼
                    ⊕ ◀─── ⊕ ◀─── ⊕ ◀───┘
                    ▼      ▼      ▼     ▼     each [N, half the generator's channels, side, side]
    ```
    The other half of the channels is controlled by the styles alone, as in GFPGAN.
    """

    def __init__(self, num_qualities: int, widths: Mapping[int, int], side: int) -> None:
        super().__init__()
        self.stem = he_conv(3, CHANNELS[0])
        self.stages = nn.ModuleList(
            nn.ModuleDict({"down": he_conv(inputs, outputs, stride=2), "conv": he_conv(outputs, outputs)})
            for inputs, outputs in itertools.pairwise(CHANNELS)
        )
        self.quality = nn.Embedding(num_qualities, CHANNELS[-1])
        self.laterals = nn.ModuleList(nn.Conv2d(channels, SHARED, 1) for channels in CHANNELS)
        self.smooth = nn.ModuleList(he_conv(SHARED, SHARED) for _ in CHANNELS[1:])
        sides = [side >> scale for scale in range(len(CHANNELS))]
        self.features = nn.ModuleDict({str(s): nn.Conv2d(SHARED, widths[s], 1) for s in sides if s in widths})
        _zero(self.quality, *self.features.values())

    def forward(self, picture: Tensor, quality: Tensor) -> Injection:
        x = F.leaky_relu(self.stem(picture.contiguous(memory_format=torch.channels_last)), 0.2)
        maps = [x]
        for stage in self.stages:
            x = F.leaky_relu(stage.get_submodule("down")(x), 0.2)
            x = x + F.leaky_relu(stage.get_submodule("conv")(x), 0.2)
            maps.append(x)
        maps[-1] = x + at_quality(self.quality.weight, quality)[:, :, None, None].to(x.dtype)
        injection: Injection = {}
        shared: Tensor | None = None
        for scale in reversed(range(len(maps))):
            lateral = self.laterals[scale](maps[scale])
            if shared is not None:
                lateral = lateral + F.interpolate(self.smooth[scale](shared), scale_factor=2, mode="nearest")
            shared = F.leaky_relu(lateral, 0.2)
            side = shared.shape[-1]
            if str(side) in self.features:
                by, to = self.features[str(side)](shared).chunk(2, 1)
                injection[side] = by, to
        return injection


class Details(nn.Module):
    """What images take from a picture with blocks, initially nothing: images [N, 3, S, S], the linear path's pictures
    and quality [N] → images. At high qualities the large picture has details that the generator does not get.

    Where the blocks are empty, images stay as they are.
    """

    def __init__(self, num_qualities: int) -> None:
        super().__init__()
        self.seen = he_conv(3 * 3 * 4, DETAILS)
        self.quality = nn.Embedding(num_qualities, DETAILS)
        self.mixed = he_conv(DETAILS, DETAILS)
        self.change = nn.Conv2d(DETAILS, 3 * 4, 3, padding=1)
        self.portion = nn.Embedding(num_qualities, 1)
        _zero(self.quality, self.change, self.portion)

    def forward(self, images: Tensor, picture: LinearPicture, quality: Tensor) -> Tensor:
        of_blocks = picture.of_blocks
        assert of_blocks is not None  # only heads of models with blocks have this one
        lacking = picture.large - small_pictures(images, picture.large.shape[-1])
        # At half the resolution, where the same convolutions cost a quarter.
        given = F.pixel_unshuffle(torch.cat([picture.large, of_blocks, lacking], 1), 2)
        seen = self.seen(given.contiguous(memory_format=torch.channels_last))
        hidden = F.leaky_relu(seen + at_quality(self.quality.weight, quality)[:, :, None, None].to(seen.dtype), 0.2)
        hidden = hidden + F.leaky_relu(self.mixed(hidden), 0.2)
        change = F.pixel_shuffle(self.change(hidden).float(), 2)
        change = change + at_quality(self.portion.weight, quality)[:, :, None, None] * lacking
        return images + enlarged(change * _filled(of_blocks), images.shape[-1])


def _filled(of_blocks: Tensor) -> Tensor:
    """How much blocks hold, from 0 (nothing) to almost 1, [N, 1, side, side], smoothly from block to block; without
    gradient, so that no block is filled in order to be counted.
    """
    side = of_blocks.shape[-1]
    power = F.avg_pool2d(of_blocks.detach().square().mean(1, keepdim=True), side // GRID)
    return F.interpolate(power / (power + FAINT**2), size=side, mode="bilinear")


def _zero(*layers: nn.Module) -> None:
    for layer in layers:
        for parameter in layer.parameters():
            nn.init.zeros_(parameter)
