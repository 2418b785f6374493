"""Draws layers.png: portraits, what one, two and three layers of their files show, and AV1 in as many bytes.

    python docs/pictures/layers.py [QUALITY]

The portraits are in docs/pictures/portraits. AV1 gets the most bytes within those of the three layers; where even its
smallest file has more, that one is shown.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

import hsc
from hsc.evaluation.anchors import load_anchor
from hsc.images import resize, to_pil

HERE = Path(__file__).parent
SIDE, GAP, TITLE = 160, 6, 26


def main() -> None:
    codec = hsc.load()
    quality = int(sys.argv[1]) if len(sys.argv) > 1 else codec.default_quality
    originals = [np.array(Image.open(path).convert("RGB")) for path in sorted((HERE / "portraits").glob("*.png"))]
    faces = to_tensor(originals)
    coded = codec.encode(codec.analyse(faces), quality)
    columns = [("original", faces)]
    for depth, layer in enumerate(codec.layers, start=1):
        lengths = coded.prefix_lengths[:, depth - 1]
        decoded = codec.decode(coded, depth)
        shown = codec.synthesise(decoded.latents, decoded.quality)
        columns.append((f"{layer}: {lengths.double().mean():.0f} bytes", shown))
    others = [load_anchor("av1").near_bytes(face, int(size))[1] for face, size in zip(originals, lengths, strict=True)]
    mean = np.mean([other.file_bytes for other in others])
    columns.append((f"AV1: {mean:.0f} bytes", to_tensor([other.decoded for other in others])))
    picture(columns).save(HERE / "layers.png", optimize=True)


def to_tensor(images: list[np.ndarray]) -> torch.Tensor:
    """uint8 [H, W, 3] each → [N, 3, H, W] in [-1, 1]."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 127.5 - 1


def picture(columns: list[tuple[str, torch.Tensor]]) -> Image.Image:
    """Titles over columns of faces, one face a row."""
    rows = len(columns[0][1])
    width = len(columns) * (SIDE + GAP) - GAP
    sheet = Image.new("RGB", (width, TITLE + rows * (SIDE + GAP) - GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for column, (title, images) in enumerate(columns):
        left = column * (SIDE + GAP)
        pen.text((left + SIDE / 2, TITLE / 2), title, fill="black", font=font, anchor="mm")
        for row, image in enumerate(resize(images, SIDE)):
            sheet.paste(to_pil(image), (left, TITLE + row * (SIDE + GAP)))
    return sheet


if __name__ == "__main__":
    main()
