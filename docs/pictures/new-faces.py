"""Draw the pictures of docs/new-faces.md.

    python docs/pictures/new-faces.py aligned PHOTOGRAPHS.zip FACES.zip
    python docs/pictures/new-faces.py fitted FACES.zip BEFORE AFTER

PHOTOGRAPHS are the CC0 portraits, FACES what `hsc data prepare` has made of them, BEFORE and AFTER codecs.
"""

import json
import sys
from pathlib import Path

import torch
from PIL import Image, ImageDraw

import hsc
from hsc.data.faces import open_faces
from hsc.images import resize, to_pil, to_tensor

HERE = Path(__file__).parent
SIDE, SHOWN = 160, 5


def aligned(photographs: str, faces: str) -> None:
    """Photographs with the squares found in them, above what was cut out."""
    manifest = Path(faces).with_name(f"{Path(faces).stem}.manifest.jsonl")
    kept = [entry for entry in map(json.loads, manifest.read_text().splitlines()) if entry["name"]]
    originals, crops = open_faces(photographs), open_faces(faces)
    sheet = Image.new("RGB", (SIDE * SHOWN, 2 * SIDE), "white")
    for column, entry in enumerate(kept[7 :: len(kept) // SHOWN][:SHOWN]):
        photograph = originals.load(entry["source"])
        square = [tuple(corner) for corner in entry["corners"]]
        ImageDraw.Draw(photograph).line([*square, square[0]], "white", photograph.width // 100)
        for row, picture in enumerate((photograph, crops.load(entry["name"]))):
            sheet.paste(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (column * SIDE, row * SIDE))
    sheet.save(HERE / "aligned.jpg", quality=88)


@torch.no_grad()
def fitted(faces: str, before: str, after: str) -> None:
    """Held-out faces, decoded before and after fine-tuning, all layers, quality 2."""
    held_out = open_faces(faces, "validation*")
    originals = torch.stack([to_tensor(held_out.load(name)) for name in held_out.names[:SHOWN]])
    rows = [originals]
    for model in (before, after):
        codec = hsc.load(model)
        files = codec.compress(originals, quality=2)
        print(model, sum(map(len, files)) / len(files), "bytes a face")
        rows.append(resize(torch.stack(codec.decompress(files)), originals.shape[-1]))
    sheet = Image.new("RGB", (SIDE * SHOWN, SIDE * len(rows)))
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            sheet.paste(to_pil(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC), (column * SIDE, row * SIDE))
    sheet.save(HERE / "fitted.jpg", quality=88)


if __name__ == "__main__":
    {"aligned": aligned, "fitted": fitted}[sys.argv[1]](*sys.argv[2:])
