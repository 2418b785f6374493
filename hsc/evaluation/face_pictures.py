"""Pictures of a few faces for the comparison's page, decoded by every codec at every quality and layer.

They are kept during an evaluation. `faces/faces.json` lists the pictures beside it with their bytes, the judges' values
and their landmarks, as fractions of the picture's side, so that pictures can be shown at any size. A page shows the
pictures of any number of evaluations, face by face.
"""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from hsc.errors import HscError
from hsc.evaluation.rows import WHOLE, Row
from hsc.files import json_hash, read_json, write_atomically
from hsc.metrics.info import MetricInfo, is_quality, quality_info, sort_key

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from hsc.judges import Judge

INDEX = "faces.json"
LARGEST = 256  # pixels per side; larger pictures are shown reduced
WEBP_QUALITY = 95


class FacePictures:
    """The pictures of some faces in a folder. A picture's file is named after everything it depends on: the face and
    `place`, which identifies a layer at a point."""

    def __init__(self, folder: Path, names: Sequence[str], originals: str) -> None:
        """`originals`: the place of the originals."""
        self.folder = folder
        self.names = list(names)
        self.originals = originals

    def has(self, place: str, names: Sequence[str]) -> bool:
        """Whether the pictures of one layer at one point exist, for those of these faces that are kept."""
        return all(self._path(place, name).is_file() for name in names if name in self.names)

    def keep(self, place: str, names: Sequence[str], images: "Tensor") -> None:
        """Write the pictures, of [N, 3, H, W] in [-1, 1], whose faces are kept."""
        for name, image in zip(names, images, strict=True):
            if name in self.names:
                save = partial(_shown(image).save, format="WEBP", quality=WEBP_QUALITY, method=6)
                write_atomically(self._path(place, name), save)

    def write_index(
        self,
        kept: Sequence[tuple[str, Row]],
        trained_on: Sequence[str],
        landmarker: "Judge | None",
        device: "torch.device",
    ) -> None:
        """Write faces.json, unless it is up to date.

        kept: rows with the places of their pictures, in the order of the list. trained_on: metrics that the layered
        codec was trained on.
        """
        parts = [[place, row.image] for place, row in kept], list(trained_on), landmarker and landmarker.name
        key = json_hash(parts)
        if read_json(self.folder / INDEX).get("key") == key:
            return
        find = partial(_landmarks, landmarker=landmarker, device=device)
        faces: dict[str, dict[str, Any]] = {}
        for name in self.names:
            path = self._path(self.originals, name)
            original = {"picture": path.name, "landmarks": find(path)}
            faces[name] = {"name": name, "original": original, "shots": {}}
        for place, row in kept:
            path = self._path(place, row.image)
            shot = {
                "quality": row.quality,
                "layer": "" if row.layer == WHOLE else row.layer,
                "bytes": row.bytes,
                "metrics": {name: round(value, 5) for name, value in row.metrics.items() if math.isfinite(value)},
                "picture": path.name,
                "landmarks": find(path),
            }
            faces[row.image]["shots"].setdefault(row.codec, []).append(shot)
        content = {"key": key, "trained_on": list(trained_on), "faces": list(faces.values())}
        write_atomically(self.folder / INDEX, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())

    def _path(self, place: str, name: str) -> Path:
        return self.folder / f"{json_hash([place, name])[:20]}.webp"


def _landmarks(path: Path, landmarker: "Judge | None", device: "torch.device") -> list[list[float]]:
    """Points (x, y) of a picture as fractions of its side; empty without a landmarker, or if it finds none."""
    if landmarker is None:
        return []
    import torch

    from hsc.images import to_tensor

    with torch.no_grad(), Image.open(path) as picture:
        image = to_tensor(picture.convert("RGB"))[None].to(device)
        points = landmarker(image)[0] / image.shape[-1]
    return [[round(x, 4), round(y, 4)] for x, y in points.tolist()] if points.isfinite().all() else []


def _shown(image: "Tensor") -> Image.Image:
    from hsc.images import to_pil

    picture = to_pil(image)
    if max(picture.size) > LARGEST:
        picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return picture


def read_face_pictures(folder: Path) -> dict[str, Any] | None:
    """The content of an evaluation's `faces/faces.json`, with pictures as data URIs; None if there is no such file.

    Raises HscError if it is damaged.
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


def faces_data(
    evaluations: Sequence[Mapping[str, Any]], beside: str, described: Mapping[str, MetricInfo] | None = None
) -> dict[str, Any] | None:
    """The data that faces.js draws; None if there are no faces.

    Codecs with the same name and the same pictures are merged; others with the same name get their folder added. The
    page initially shows the first layered codec and, next to it, another one, else `beside`. described: metrics that
    are not built into hsc.
    """
    pictures: dict[str, int] = {}
    codecs: dict[str, dict[str, Any]] = {}
    faces: dict[tuple[str, str], dict[str, Any]] = {}
    for evaluation in evaluations:
        for codec in dict.fromkeys(name for face in evaluation["faces"] for name in face["shots"]):
            shots = [face["shots"].get(codec, []) for face in evaluation["faces"]]
            name = _own_name(codec, shots, evaluation, evaluations)
            if name in codecs:
                continue
            layers = list(dict.fromkeys(shot["layer"] for of_face in shots for shot in of_face if shot["layer"]))
            trained = evaluation["trained_on"] if layers else []
            codecs[name] = {"name": name, "layers": layers, "trained_on": trained}
            for face, of_face in zip(evaluation["faces"], shots, strict=True):
                original = face["original"] | {"picture": _place(face["original"]["picture"], pictures)}
                entry = {"name": face["name"], "original": original, "shots": {}}
                own = faces.setdefault((face["name"], face["original"]["picture"]), entry)
                own["shots"][name] = [shot | {"picture": _place(shot["picture"], pictures)} for shot in of_face]
    if not faces:
        return None
    measured = {
        name for face in faces.values() for of in face["shots"].values() for shot in of for name in shot["metrics"]
    }
    described = described or {}
    known = [name for name in measured if name in described or is_quality(name)]
    infos = [described.get(name) or quality_info(name) for name in sorted(known, key=sort_key)]
    layered = [name for name, codec in codecs.items() if codec["layers"]]
    first = layered[0] if layered else next(iter(codecs))
    others = [*layered[1:], *(name for name in codecs if name == beside), *codecs]
    return {
        "pictures": list(pictures),
        "codecs": list(codecs.values()),
        "faces": list(faces.values()),
        "metrics": [_metric(info) for info in infos],
        "sides": [first, next((name for name in others if name != first), first)],
    }


def _own_name(
    codec: str, shots: Sequence[Sequence[Any]], evaluation: Mapping[str, Any], evaluations: Sequence[Mapping[str, Any]]
) -> str:
    """The codec's name, with the evaluation's folder if another evaluation has other pictures under the same name."""
    digests = {
        _digest([face["shots"].get(codec, []) for face in other["faces"]])
        for other in evaluations
        if any(codec in face["shots"] for face in other["faces"])
    }
    return codec if digests == {_digest(shots)} else f"{codec} ({evaluation['place']})"


def _digest(shots: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    return json_hash([[shot["picture"], shot["bytes"]] for of_face in shots for shot in of_face])


def _place(picture: str, pictures: dict[str, int]) -> int:
    """Index of a picture in `pictures`, to which it is added if it is new."""
    return pictures.setdefault(picture, len(pictures))


def _metric(said: MetricInfo) -> dict[str, Any]:
    return {
        "name": said.name,
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
    # The last part of the path alone: a faces.json from an untrusted source must not read other files.
    picture = base64.b64encode((path.parent / Path(kept["picture"]).name).read_bytes()).decode()
    landmarks = [[float(x), float(y)] for x, y in kept["landmarks"]]
    return {"picture": f"data:image/webp;base64,{picture}", "landmarks": landmarks}
