"""Draws layers.png: generated faces, and what one, two and three layers of their files show.

    python docs/pictures/layers.py [QUALITY]

The faces come from the shipped prior, so nobody's photograph is shown; being the codec's own faces, they flatter it.
"""

import sys
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

import hsc
from hsc.checkpoints import load_face_model
from hsc.images import resize, to_pil
from hsc.released import DEFAULT_PRIOR, find_weights

FACES, SIDE, GAP, TITLE = 4, 160, 6, 26
SEED, TRUNCATION = 3, 0.8


def main() -> None:
    codec = hsc.load()
    quality = int(sys.argv[1]) if len(sys.argv) > 1 else codec.default_quality
    model = load_face_model(find_weights(DEFAULT_PRIOR))
    z = torch.randn(FACES, model.z_dim, generator=torch.Generator().manual_seed(SEED))
    with torch.inference_mode():
        faces = resize(model.draw(z, TRUNCATION), 128)
    coded = codec.code(faces, quality)
    columns = [("generated face", faces)]
    for depth, layer in enumerate(codec.layers, start=1):
        size = coded.prefix_lengths[:, depth - 1].double().mean()
        columns.append((f"{layer}: {size:.0f} bytes", codec.reconstruct(coded, depth)))
    picture(columns).save(Path(__file__).with_name("layers.png"), optimize=True)


def picture(columns: list[tuple[str, torch.Tensor]]) -> Image.Image:
    """Titles over columns of faces, one face a row."""
    width = len(columns) * (SIDE + GAP) - GAP
    sheet = Image.new("RGB", (width, TITLE + FACES * (SIDE + GAP) - GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for column, (title, images) in enumerate(columns):
        left = column * (SIDE + GAP)
        pen.text((left + SIDE / 2, TITLE / 2), title, fill="black", font=font, anchor="mm")
        for row, image in enumerate(resize(images, SIDE)):
            sheet.paste(to_pil(image), (left, TITLE + row * (SIDE + GAP)))
    return sheet


if __name__ == "__main__":
    main()
