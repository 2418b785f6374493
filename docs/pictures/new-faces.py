"""Draw the picture of docs/new-faces.md.

    python docs/pictures/new-faces.py PHOTOGRAPHS.zip FACES.zip

PHOTOGRAPHS are the CC0 portraits, FACES what `hsc data prepare` has made of them.
"""

import json
import sys
from pathlib import Path

from PIL import Image, ImageDraw

from hsc.data.faces import open_faces

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


if __name__ == "__main__":
    aligned(*sys.argv[1:])
