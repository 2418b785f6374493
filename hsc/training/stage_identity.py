"""The identity of a stage, by which a finished stage is recognised as the one that an experiment asks for."""

import functools
import hashlib
from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

import hsc
from hsc.checkpoints.weights_file import network_hash
from hsc.config import Config, StageConfig
from hsc.config.checks import USED
from hsc.data.module import FaceDataModule
from hsc.files import json_hash
from hsc.judges import load_judge
from hsc.losses import Loss
from hsc.training.callbacks import Selection
from hsc.training.trainer import decisive_flags, device_type, resolve_precision

NOT_TRAINING = ("cli", "evaluation", "sweeps", "assets")
CHANGED = {
    "data": "the training images",
    "start": "the starting weights",
    "code": "hsc's code",
    "torch": "torch",
    "version": "hsc",
}
SHOWN = 4  # changes listed in a line


@dataclass(frozen=True)
class StageIdentity:
    """Everything that decides the weights a stage ends with, and nothing else.

    It holds JSON values. Left out are `log_every`, `save_every`, workers, names and paths of files, settings that the
    stage does not use, and, unless the weights of the best validation are kept, everything about validation. `devices`
    and `accumulate` are included: a different order of summation rounds differently, and 100 steps later the weights
    differ. Processors and graphics cards of different makes round differently too; only their class is included.
    """

    stage: dict[str, Any]
    """the settings that the steps use"""
    model: dict[str, Any]
    """config of the networks, as far as the stage uses them"""
    losses: dict[str, dict[str, float]]
    """layer → task → weight, of the losses that are computed"""
    judges: dict[str, str]
    """task → hash of its weights"""
    best: dict[str, Any] | None
    """how the weights to keep are chosen; None to keep the last"""
    seed: int
    devices: int
    device: str
    """cpu, cuda or mps"""
    precision: str
    """Lightning's name for it, never "auto\""""
    torch: str
    data: str
    """hash of the training images, in their order"""
    start: str
    """hash of the weights before the first step"""
    version: str
    code: str
    """hash of hsc's code, without the packages that training does not use"""

    @property
    def key(self) -> str:
        """Identifies a run's own stages: all but `code`, so that a run continues after a fix to hsc's code."""
        return json_hash({name: value for name, value in asdict(self).items() if name != "code"})

    @property
    def shared_key(self) -> str:
        """Identifies stages between runs: everything, since the effect of code changes is unknown."""
        return json_hash(asdict(self))

    @property
    def why_not_steady(self) -> str:
        """Why the steps depend on their total number, in words; empty if they do not."""
        if self.best is not None:
            return "it keeps its best weights"
        if self.stage["final_rate"] != 1:
            return "its learning rate has decayed (with final_rate: 1 it could continue)"
        if self.stage.get("round_after", 1.0) < 1:
            return "it has switched to rounding (with round_after: 1 it could continue)"
        return ""

    def prolongs(self, other: "StageIdentity") -> bool:
        """Whether this is the other stage with more steps."""
        same = replace(self, stage=self.stage | {"steps": other.stage["steps"]}).key == other.key
        return same and self.stage["steps"] > other.stage["steps"]

    def continues(self, other: "StageIdentity") -> bool:
        """Whether this stage begins with the other's steps and can continue from its last checkpoint."""
        return self.prolongs(other) and not self.why_not_steady

    def changes_from(self, other: "StageIdentity") -> str:
        """The differences in plain words: "learning_rate (0.001 → 0.003), the training images"."""
        then, now = _flat(asdict(other)), _flat(asdict(self))
        changed = [name for name in {**then, **now} if then.get(name) != now.get(name) and name != "code"]
        words = [_change(name, then.get(name), now.get(name)) for name in changed]
        more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
        return ", ".join(words[:SHOWN]) + more

    @staticmethod
    def from_json(values: Any) -> "StageIdentity | None":
        """The identity with these fields; None for anything else, such as the record of another version of hsc."""
        try:
            return StageIdentity(**values)
        except TypeError:
            return None


def identify(
    config: Config, name: str, losses: Mapping[str, Loss], data: FaceDataModule, best: Selection | None, start: str
) -> StageIdentity:
    """The identity of stage `name`. `losses`: those that can be computed here. `best`: how the weights to keep are
    chosen. `start`: hash of the starting weights."""
    stage = config.stages[name]
    weighed = stage.tasks(config.model)
    return StageIdentity(
        stage=_decisive_settings(config, stage),
        model=_decisive_model(config, stage),
        losses={
            layer: {task: weight for task, weight in tasks.items() if task in losses}
            for layer, tasks in weighed.items()
            if tasks.keys() & losses.keys()
        },
        judges={task: _weights_hash(loss) for task, loss in losses.items()},
        best=None if best is None else _choice_of_the_best(config, stage, best, data),
        seed=config.seed,
        devices=config.devices,
        device=device_type(config.device),
        precision=resolve_precision(stage.precision, config.device),
        torch=torch.__version__,
        data=_training_data(data),
        start=start,
        version=hsc.__version__,
        code=code_hash(),
    )


@functools.cache
def code_hash() -> str:
    """Hash of hsc's own code, without the packages that training does not use."""
    root = Path(hsc.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        place = file.relative_to(root)
        if place.parts[0] not in NOT_TRAINING:
            digest.update(f"{place.as_posix()}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _decisive_settings(config: Config, stage: StageConfig) -> dict[str, Any]:
    """The stage's own fields that its steps use and that no other part of the identity covers."""
    elsewhere = ("init", "init_full", "data", "losses", "precision")
    without_effect = ("save_every", "log_every", "validate_every", "patience", "monitor")
    unused = [field for field, (used, _) in USED.items() if not used(stage)]
    settings = _without({*elsewhere, *without_effect, *unused}, asdict(stage))
    decoded = stage.decoded_layers(config.model)
    return settings | {
        "train": sorted(set(stage.train)),
        "layers": stage.layers or list(config.model.layers),
        "layer_weights": {layer: stage.layer_weights.get(layer, 1.0) for layer in decoded},
        "lr_scale": {part: stage.lr_scale.get(part, 1.0) for part in sorted(set(stage.train))},
        "flips": stage.data.flips,
        **decisive_flags(config),
    }


def _without(fields: Set[str], settings: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """The settings without these fields, given by their dotted names."""
    return {
        name: _without(fields, value, f"{path}{name}.") if isinstance(value, dict) else value
        for name, value in settings.items()
        if path + name not in fields
    }


def _decisive_model(config: Config, stage: StageConfig) -> dict[str, Any]:
    """The part of the model's config that the stage uses: sweeps over λ or entropy models do not retrain the prior."""
    model = asdict(config.model)
    if stage.module != "codec":
        return {"generator": model["generator"]}
    for layer in model["layers"].values():
        layer["grid"] = 0  # a former field: with it runs of earlier versions recognise their finished stages
    if not model["blocks"]:
        del model["blocks"]  # as before models could have them, for the same reason
    return model


def _training_data(data: FaceDataModule) -> str:
    """Hash of the training images, with their W+ if batches carry them."""
    faces = data.faces("train")
    if data.styles is None:
        return faces.pictures_key
    return hashlib.sha256(faces.pictures_key.encode() + faces.styles(data.styles).tobytes()).hexdigest()


def _choice_of_the_best(config: Config, stage: StageConfig, best: Selection, data: FaceDataModule) -> dict[str, Any]:
    return {
        "monitor": best.monitor,
        "patience": best.patience,
        "validate_every": stage.validate_every,
        "validation": data.faces("validation").pictures_key,
        "judges": asdict(config.judges),
    }


def _weights_hash(loss: Loss) -> str:
    """Hash of a loss's own weights and its judge's; for those from outside hsc also of their code."""
    digest = hashlib.sha256()
    for part in (loss, *([load_judge(loss.judge)] if loss.judge else [])):
        digest.update(network_hash(part).encode())
    return digest.hexdigest()


def _flat(values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Nested mappings flattened to dotted names; the stage's own settings keep their names."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        here = name if path in ("", "stage.") else f"{path}{name}"
        found |= _flat(value, f"{here}.") if isinstance(value, dict) else {here: value}
    return found


def _change(name: str, then: Any, now: Any) -> str:
    word = CHANGED.get(name, name)
    if name.startswith("judges."):
        return f"the weights of the loss {name.removeprefix('judges.')}"
    if name in ("data", "start"):
        return word
    return f"{word} ({_word(then)} → {_word(now)})"


def _word(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
