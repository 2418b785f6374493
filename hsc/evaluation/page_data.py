"""What the page's scripts draw from: the points of every curve, and the pictures of faces, all in the page itself."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hsc.errors import HscError
from hsc.evaluation.bdrate import on_front
from hsc.evaluation.counting import COUNTS
from hsc.evaluation.curves import MARKERS, Style, points, styles
from hsc.evaluation.quantities import known
from hsc.evaluation.results import Curve


def script_data(views: Mapping[str, Sequence[Curve]], metrics: Sequence[str], galleries: Sequence[dict]) -> str:
    """JSON for a script element; chart.js and faces.js say what is in it. views: the same curves under every count."""
    curves = next(iter(views.values()))
    sizes = {curve.pixels for curve in curves}
    content = {
        "counts": {count: COUNTS[count] for count in views},
        "pixels": sizes.pop() if len(sizes) == 1 else None,
        "curves": [_curve(curve, style) for curve, style in zip(curves, styles(curves), strict=True)],
        "metrics": [
            {
                "axis": f"{known(metric).axis} {known(metric).arrow}",
                "points": {
                    count: {number: _points(curve, metric) for number, curve in enumerate(counted)}
                    for count, counted in views.items()
                },
            }
            for metric in metrics
        ],
        "galleries": galleries,
    }
    # Nothing in it can end or open a script element.
    return json.dumps(content, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def read_gallery(folder: Path, beside: str) -> dict[str, Any] | None:
    """The pictures that `hsc evaluate` left in `folder`, as data URIs; None where there are none.

    `beside` is the anchor to be shown first, where there are pictures of it. Raises HscError when they are damaged.
    """
    path = folder / "faces" / "faces.json"
    if not path.is_file():
        return None
    try:
        kept = json.loads(path.read_text(encoding="utf-8-sig"))
        faces = [
            {
                "name": str(face["name"]),
                "original": _shot(path, face["original"]),
                "decoded": [_shot(path, shot) for shot in face["decoded"]],
                "anchors": {
                    name: [_shot(path, shot) for shot in face["anchors"][name]]
                    for name in sorted(face["anchors"], key=lambda name: name != beside)
                },
            }
            for face in kept["faces"]
        ]
        return {"codec": kept["codec"], "quality": kept["quality"], "layers": kept["layers"], "faces": faces}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise HscError(f"{path} is damaged ({error}): delete its folder and run hsc evaluate again") from error


def _shot(path: Path, kept: dict[str, Any]) -> dict[str, Any]:
    # Its last part alone: a list of faces that somebody sent must not reach for other files.
    picture = base64.b64encode((path.parent / Path(kept["picture"]).name).read_bytes()).decode()
    shot = {"picture": f"data:image/webp;base64,{picture}", "landmarks": kept["landmarks"]}
    if "metrics" in kept:
        shot |= {"bytes": int(kept["bytes"]), "quality": kept.get("quality"), "metrics": _shown(kept["metrics"])}
    return shot


def _shown(metrics: dict[str, float]) -> list[tuple[str, str]]:
    """Short labels, without the judge: they are written over a picture."""
    bare = {known(name.partition(".")[0]): value for name, value in metrics.items()}
    return [(quantity.label, f"{quantity.show(value)} {quantity.unit}".strip()) for quantity, value in bare.items()]


def _curve(curve: Curve, style: Style) -> dict[str, Any]:
    lengths = () if isinstance(style.line, str) else style.line[1]
    return {
        "name": curve.name,
        "colour": style.colour,
        "dash": " ".join(f"{1.6 * style.width * length:.1f}" for length in lengths),
        "width": style.width,
        "marker": MARKERS.index(style.marker),
        "cloud": bool(curve.labels),
    }


def _points(curve: Curve, metric: str) -> list[dict[str, Any]]:
    """Every point of a curve as it is shown, by rising rate."""
    shown, scale = points(curve, metric), known(metric).scale
    front = on_front(metric, shown.bpp, shown.value)
    listed = []
    for number, (bpp, value) in enumerate(zip(shown.bpp, shown.value, strict=True)):
        point = {"x": bpp, "y": scale * value, "front": bool(front[number]), "text": _text(curve, metric, number)}
        if shown.low is not None and shown.high is not None:
            bounds = {"low": scale * shown.low[number], "high": scale * shown.high[number]}
            point |= bounds if np.isfinite(list(bounds.values())).all() else {}
        listed.append({name: float(f"{x:.6g}") if isinstance(x, float) else x for name, x in point.items()})
    return listed


def _text(curve: Curve, metric: str, number: int) -> str:
    """What the page says at a marker."""
    shown, said = points(curve, metric), known(metric)
    bpp, place = shown.bpp[number], shown.place[number]
    size = f", {bpp * curve.pixels / 8:.1f} bytes" if curve.pixels else ""
    lines = [curve.point_name(place), f"{bpp:.4f} bpp{size}"]
    lines.append(f"{said.label}: {said.show(shown.value[number])} {said.unit}".rstrip())
    if shown.low is not None and shown.high is not None:
        lines.append(f"95 %: {said.show(shown.low[number])} to {said.show(shown.high[number])}")
    if metric in curve.trained_on:
        lines.append("The codec was trained on this metric")
    return "\n".join(filter(None, lines))
