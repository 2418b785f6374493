"""Selection of what is measured: the default faces, and the judges and anchors that are available on this machine."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from hsc.codec import Codec
from hsc.data.faces import Faces
from hsc.data.sets import first_set
from hsc.data.splits import Spec, select_names
from hsc.errors import HscError
from hsc.evaluation.runs import run_config
from hsc.judges import Judge

T = TypeVar("T")


def available(load: Callable[[str], T], names: Sequence[str], missing: type[HscError]) -> list[T]:
    """Load what is available; messages about the rest go to standard error."""
    loaded = []
    for name in names:
        try:
            loaded.append(load(name))
        except missing as error:
            leave_out(name, str(error))
    return loaded


def leave_out(name: str, reason: str) -> None:
    """Print on standard error that something is not measured, and why."""
    print(f"leaving out {name}: {reason}", file=sys.stderr)


def load_judges(names: Sequence[str], images: int, device: torch.device) -> tuple[list[Judge], list[Judge]]:
    """The judges of single images, and the judges of sets, which need many images."""
    from hsc.judges import NotAvailable, load_judge
    from hsc.metrics.distribution import MINIMUM_IMAGES

    judges = available(lambda name: load_judge(name, device), names, NotAvailable)
    of_sets = [judge for judge in judges if judge.kind == "features"]
    if of_sets and images < MINIMUM_IMAGES:
        for judge in of_sets:
            leave_out(judge.name, f"distances between sets need at least {MINIMUM_IMAGES} images, not {images}")
        of_sets = []
    return [judge for judge in judges if judge.kind != "features"], of_sets


def whole_bytes(at_bytes: Sequence[float], at_bpp: Sequence[float], image: Tensor) -> list[int]:
    """Both kinds of targets as whole bytes of a file, in order."""
    pixels = image.shape[-2] * image.shape[-1]
    return sorted({int(size) for size in (*at_bytes, *(bpp * pixels / 8 for bpp in at_bpp))})


def own_split(codec: Codec | None, model: object, faces: Faces) -> Spec | None:
    """The images of a data set that the codec was validated on, None for all; prints the choice on standard error.

    model: what the codec was loaded from.
    """
    path = faces.path
    split = validation_split(codec, model, path)
    if split is not None:
        try:
            select_names(faces.names, split)
        except HscError as error:
            print(
                f"measuring all of {path.name}: it does not contain the images the codec was validated on ({error})",
                file=sys.stderr,
            )
            return None
        print(f"measuring the images the codec was validated on: {split} (--split names others)", file=sys.stderr)
    elif Path(getattr(codec, "card", {}).get("data", "")).name == path.name:
        print(
            f"measuring all of {path.name}, images the codec was trained on among them: name the others with --split",
            file=sys.stderr,
        )
    return split


def validation_split(codec: Codec | None, model: object, data: Path) -> Spec | None:
    """The split of `data` that the codec was validated on; None if it is unknown, or for another data set.

    It is read from the codec's card (`data`, `validation`), else from the config of the run folder `model`.
    """
    recorded = getattr(codec, "card", {})
    if "validation" not in recorded and isinstance(model, str | Path):
        recorded = recorded | _of_run(Path(model))
    same = Path(recorded.get("data", "")).name == data.name
    return recorded.get("validation") if same else None


def _of_run(folder: Path) -> dict:
    """`data` and `validation` of a run's last stage; empty if there is no config, or one of another version."""
    config = run_config(folder)
    try:
        data = config["stages"][config["run"][-1]]["data"]
        return {"data": first_set(data["path"]), "validation": data["validation"]}
    except (KeyError, IndexError, TypeError):
        return {}
