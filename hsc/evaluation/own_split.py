"""Which faces a codec was validated on: what `hsc evaluate` measures when nobody says which."""

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from hsc.data.sets import first_set
from hsc.data.splits import Spec

if TYPE_CHECKING:
    from hsc.codec import Codec


def validation_split(codec: "Codec | None", model: object, data: Path) -> Spec | None:
    """The split of `data` that the codec was validated on; None where nothing tells, or for another data set.

    It is read from the codec's card (`data`, `validation`), else from the config of the run folder `model`.
    """
    recorded = getattr(codec, "card", {})
    if "validation" not in recorded and isinstance(model, str | Path):
        recorded = recorded | _of_run(Path(model))
    same = Path(recorded.get("data", "")).name == data.name
    return recorded.get("validation") if same else None


def _of_run(folder: Path) -> dict:
    """`data` and `validation` of a run's last stage; nothing where there is no config, or one of another version."""
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8-sig"))
        data = config["stages"][config["run"][-1]]["data"]
        return {"data": first_set(data["path"]), "validation": data["validation"]}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, IndexError, TypeError):
        return {}
