"""One picture with the reconstruction of a face from each layer, beside other codecs at the same file size.

```
original   basic   basic + middle   all layers   AV1 at the same size   VVC …      captions give the bytes of each
```
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from hsc.codec import Codec
from hsc.evaluation.anchors import Anchor
from hsc.images import resize, to_pil, to_tensor, to_uint8

SIDE, LARGE_SIDE = 256, 512  # pixels of a tile; the second for codecs with a larger size
GAP = 8


class Tile(NamedTuple):
    """One tile of the sheet."""

    caption: str
    image: Tensor  # [3, H, W] in [-1, 1]


def layers_sheet(codec: Codec, faces: Sequence[Tensor], limit: int | None, anchors: Sequence[Anchor]) -> Image.Image:
    """The sheet of some faces, [3, S, S] in [-1, 1] each, one row per face.

    limit: bytes of a file; by default those of the codec's default quality. Anchors code the face at the codec's own
    size, with the most bytes that do not exceed the file's; if even their smallest file is larger, that one is shown.

    Raises HscError as `Codec.analyse` and `Codec.encode` do.
    """
    side = LARGE_SIDE if codec.full_size else SIDE
    return _draw([_row(codec, face, limit, anchors, side) for face in faces], side)


@torch.no_grad()
def _row(codec: Codec, face: Tensor, limit: int | None, anchors: Sequence[Anchor], side: int) -> list[Tile]:
    coded = codec.encode(codec.analyse(face[None]), bytes=limit)
    (file,), lengths = coded.files, coded.prefix_lengths[0].tolist()
    tiles = [Tile("original", face)]
    for depth, (layer, length) in enumerate(zip(codec.layers, lengths, strict=True), 1):
        caption = f"{'' if depth == 1 else '+ '}{layer}: {length} bytes"
        tiles.append(Tile(caption, codec.decompress(file[:length], side=side)))
    pixels = to_uint8(resize(face[None], codec.size))[0]
    for anchor in anchors:
        result = anchor.near_bytes(pixels, len(file))[1]
        fewest = ", its fewest" if result.file_bytes > len(file) else ""
        shown = to_tensor(result.decoded)
        tiles.append(Tile(f"{anchor.name.upper()}: {result.file_bytes} bytes{fewest}", shown))
    return tiles


def _draw(rows: Sequence[Sequence[Tile]], side: int) -> Image.Image:
    """Captions above pictures, legible when the sheet is scaled to a page's width."""
    caption = side // 9
    sheet = Image.new("RGB", (len(rows[0]) * (side + GAP) - GAP, len(rows) * (caption + side + GAP) - GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(side // 15)
    for row, tiles in enumerate(rows):
        for column, tile in enumerate(tiles):
            left, top = column * (side + GAP), row * (caption + side + GAP)
            pen.text((left + side / 2, top + caption / 2), tile.caption, fill="black", font=font, anchor="mm")
            sheet.paste(to_pil(resize(tile.image[None], side)[0]), (left, top + caption))
    return sheet
