"""One picture of what the layers of a face's file show, beside other codecs that spend as many bytes.

```
original   basic       basic + middle   all layers      captions say how many bytes each took
AV1        as many     as many          as many
VVC        bytes       bytes            bytes
```
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from hsc.codec import Codec
from hsc.evaluation.anchors import Anchor
from hsc.images import resize, to_pil, to_uint8

SIDE, GAP, CAPTION = 256, 8, 28  # pixels


class Tile(NamedTuple):
    """One place of the sheet; without an image, the name of its row."""

    caption: str
    image: Image.Image | None = None


def layers_sheet(codec: Codec, faces: Sequence[Tensor], limit: int | None, anchors: Sequence[Anchor]) -> Image.Image:
    """The sheet of some faces, [3, size, size] in [-1, 1] each: every codec gets them at the codec's own size.

    limit: bytes of a file; by default those of the codec's default quality. Anchors get the most bytes within those of
    each prefix of the file; where even their smallest file is larger, that one is shown.
    """
    return _draw([row for face in faces for row in _rows(codec, face, limit, anchors)])


@torch.no_grad()
def _rows(codec: Codec, face: Tensor, limit: int | None, anchors: Sequence[Anchor]) -> list[list[Tile]]:
    coded = codec.encode(codec.analyse(face[None]), bytes=limit)
    sizes = [int(size) for size in coded.prefix_lengths[0]]
    first = [Tile("original", _enlarged(face))]
    for depth, (layer, size) in enumerate(zip(codec.layers, sizes, strict=True), 1):
        decoded = codec.decode(coded, depth)
        caption = f"{'' if depth == 1 else '+ '}{layer}: {size} bytes"
        first.append(Tile(caption, _enlarged(codec.synthesise(decoded.latents, decoded.quality)[0])))
    pixels = to_uint8(face[None])[0]
    rows = [first]
    for anchor in anchors:
        results = [anchor.near_bytes(pixels, size)[1] for size in sizes]
        tiles = [
            Tile(
                f"{anchor.name.upper()}: {result.file_bytes} bytes{', its fewest' if result.file_bytes > size else ''}",
                Image.fromarray(result.decoded).resize((SIDE, SIDE), Image.Resampling.BICUBIC),
            )
            for result, size in zip(results, sizes, strict=True)
        ]
        rows.append([Tile(f"{anchor.name.upper()} in as many bytes"), *tiles])
    return rows


def _enlarged(face: Tensor) -> Image.Image:
    return to_pil(resize(face[None], SIDE)[0])


def _draw(rows: Sequence[Sequence[Tile]]) -> Image.Image:
    """Captions over pictures; a caption without one stands in the middle of its place."""
    sheet = Image.new("RGB", (len(rows[0]) * (SIDE + GAP) - GAP, len(rows) * (CAPTION + SIDE + GAP) - GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for row, tiles in enumerate(rows):
        for column, tile in enumerate(tiles):
            left, top = column * (SIDE + GAP), row * (CAPTION + SIDE + GAP)
            middle = top + CAPTION / 2 if tile.image is not None else top + (CAPTION + SIDE) / 2
            pen.text((left + SIDE / 2, middle), tile.caption, fill="black", font=font, anchor="mm")
            if tile.image is not None:
                sheet.paste(tile.image, (left, top + CAPTION))
    return sheet
