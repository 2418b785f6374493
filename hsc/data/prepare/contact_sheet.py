"""The contact sheet: one self-contained HTML file that shows what was kept and what was skipped."""

import base64
import io
from html import escape
from typing import NamedTuple

from PIL import Image

from hsc.errors import HscError
from hsc.images import encoded, load_image

THUMBNAIL = 96
MOST_KEPT, MOST_SKIPPED = 300, 200
SHEET_START = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="generator" content="hsc data prepare">'

_STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
body { color: #1a1a1a; background: #fff }
table { border-collapse: collapse } td, th { padding: .15rem .8rem .15rem 0; text-align: left }
td.n { text-align: right }
ul { display: flex; flex-wrap: wrap; gap: .6rem; list-style: none; padding: 0 }
figure { margin: 0; width: 96px; font-size: 11px; overflow-wrap: anywhere }
img { display: block; width: 96px; height: 96px }
@media (prefers-color-scheme: dark) { body { color: #e6e6e6; background: #16181b } }
"""


class Shown(NamedTuple):
    """A face of the sheet: its encoded crop (None if there is none) and its caption."""

    crop: bytes | None
    line: str


def contact_sheet(
    title: str, counts: dict[str, int], reasons: dict[str, int], kept: list[Shown], skipped: list[Shown]
) -> bytes:
    """counts: faces in each split. reasons: number of faults of each kind."""
    faces, faults = sum(counts.values()), sum(reasons.values())
    parts = [
        SHEET_START,
        f"<title>{escape(title)}</title><style>{_STYLE}</style><h1>{escape(title)}</h1>",
        _table("split", counts),
        _table("skipped because", reasons) if reasons else "",
        f"<h2>Kept: {_portion(len(kept), faces)}</h2>",
        _gallery(kept),
        f"<h2>Skipped: {_portion(len(skipped), faults)}</h2>" + _gallery(skipped) if skipped else "",
        "</html>\n",
    ]
    return "\n".join(filter(None, parts)).encode("utf-8", "backslashreplace")


def _table(name: str, counts: dict[str, int]) -> str:
    rows = (f'<tr><td>{escape(key)}</td><td class="n">{count}</td></tr>' for key, count in counts.items())
    return f"<table><tr><th>{escape(name)}</th><th>number</th></tr>{''.join(rows)}</table>"


def _portion(shown: int, there_are: int) -> str:
    return f"{there_are}" if shown == there_are else f"{shown} of {there_are}"


def _gallery(faces: list[Shown]) -> str:
    return "<ul>" + "\n".join(_figure(face) for face in faces) + "</ul>"


def _figure(face: Shown) -> str:
    line = escape(face.line)
    if face.crop is None:
        return f"<li><figure><figcaption>{line}</figcaption></figure></li>"
    source = f"data:image/jpeg;base64,{_thumbnail(face.crop)}"
    return f'<li><figure><img alt="" src="{source}"><figcaption>{line}</figcaption></figure></li>'


def _thumbnail(crop: bytes) -> str:
    try:
        image = load_image(io.BytesIO(crop), "a crop")
    except HscError as error:
        raise HscError(f"the unfinished work is damaged ({error}); remove its folder and run again") from error
    small = image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    return base64.b64encode(encoded(small, "JPEG", quality=80)).decode()
