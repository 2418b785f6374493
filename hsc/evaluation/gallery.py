"""The faces of the page: pictures that evaluations have kept, of any number of them, face by face."""

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hsc.errors import HscError
from hsc.metrics.info import is_quality, quality_info, sort_key

INDEX = "faces.json"


def read_gallery(folder: Path) -> dict[str, Any] | None:
    """What an evaluation's `faces/faces.json` says, its pictures as data URIs; None where there is none.

    Raises HscError when it is damaged.
    """
    path = folder / "faces" / INDEX
    if not path.is_file():
        return None
    try:
        kept = json.loads(path.read_text(encoding="utf-8-sig"))
        faces = [
            {
                "name": str(face["name"]),
                "original": _shot(path, face["original"]),
                "shots": {codec: [_measured(path, shot) for shot in shots] for codec, shots in face["shots"].items()},
            }
            for face in kept["faces"]
        ]
        return {"place": folder.resolve().name, "trained_on": list(kept["trained_on"]), "faces": faces}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise HscError(
            f"{path} cannot be read ({error}): delete its folder and run hsc evaluate again; finished files are not "
            "coded twice"
        ) from error


def faces_data(galleries: Sequence[Mapping[str, Any]], beside: str) -> dict[str, Any] | None:
    """What faces.js draws from; None where there are no faces.

    Codecs of one name and with the same pictures are one; others of one name are told apart by their folder. Shown
    first are the first codec that has layers and, next to it, another such one, else `beside`.
    """
    pictures: dict[str, int] = {}
    codecs: dict[str, dict[str, Any]] = {}
    faces: dict[tuple[str, str], dict[str, Any]] = {}
    for gallery in galleries:
        for codec in dict.fromkeys(name for face in gallery["faces"] for name in face["shots"]):
            shots = [face["shots"].get(codec, []) for face in gallery["faces"]]
            name = _own_name(codec, shots, gallery, galleries)
            if name in codecs:
                continue
            layers = list(dict.fromkeys(shot["layer"] for of_face in shots for shot in of_face if shot["layer"]))
            trained = gallery["trained_on"] if layers else []
            codecs[name] = {"name": name, "layers": layers, "trained_on": trained}
            for face, of_face in zip(gallery["faces"], shots, strict=True):
                original = face["original"] | {"picture": _place(face["original"]["picture"], pictures)}
                entry = {"name": face["name"], "original": original, "shots": {}}
                own = faces.setdefault((face["name"], face["original"]["picture"]), entry)
                own["shots"][name] = [shot | {"picture": _place(shot["picture"], pictures)} for shot in of_face]
    if not faces:
        return None
    measured = {
        name for face in faces.values() for of in face["shots"].values() for shot in of for name in shot["metrics"]
    }
    layered = [name for name, codec in codecs.items() if codec["layers"]]
    first = layered[0] if layered else next(iter(codecs))
    others = [*layered[1:], *(name for name in codecs if name == beside), *codecs]
    return {
        "pictures": list(pictures),
        "codecs": list(codecs.values()),
        "faces": list(faces.values()),
        "metrics": [_metric(name) for name in sorted(filter(is_quality, measured), key=sort_key)],
        "sides": [first, next((name for name in others if name != first), first)],
    }


def _own_name(
    codec: str, shots: Sequence[Sequence[Any]], gallery: Mapping[str, Any], galleries: Sequence[Mapping[str, Any]]
) -> str:
    """With the evaluation's folder where another evaluation has other pictures under the same name."""
    digests = {
        _digest([face["shots"].get(codec, []) for face in other["faces"]])
        for other in galleries
        if any(codec in face["shots"] for face in other["faces"])
    }
    return codec if digests == {_digest(shots)} else f"{codec} ({gallery['place']})"


def _digest(shots: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    pictures = [[shot["picture"], shot["bytes"]] for of_face in shots for shot in of_face]
    return hashlib.sha256(json.dumps(pictures).encode()).hexdigest()


def _place(picture: str, pictures: dict[str, int]) -> int:
    """Where a picture stands among all, which then holds it."""
    return pictures.setdefault(picture, len(pictures))


def _metric(name: str) -> dict[str, Any]:
    said = quality_info(name)
    return {
        "name": name,
        "label": said.label,
        "unit": said.unit,
        "scale": said.scale,
        "decimals": said.decimals,
        "higher": said.higher_is_better,
    }


def _measured(path: Path, kept: Mapping[str, Any]) -> dict[str, Any]:
    metrics = {str(name): float(value) for name, value in kept["metrics"].items() if math.isfinite(value)}
    known_of = {"quality": int(kept["quality"]), "layer": str(kept["layer"]), "bytes": int(kept["bytes"])}
    return _shot(path, kept) | known_of | {"metrics": metrics}


def _shot(path: Path, kept: Mapping[str, Any]) -> dict[str, Any]:
    # Its last part alone: a list of faces that somebody sent must not reach for other files.
    picture = base64.b64encode((path.parent / Path(kept["picture"]).name).read_bytes()).decode()
    landmarks = [[float(x), float(y)] for x, y in kept["landmarks"]]
    return {"picture": f"data:image/webp;base64,{picture}", "landmarks": landmarks}
