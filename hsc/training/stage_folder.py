"""What a stage leaves in its folder, and how a new result takes the place of a finished one.

`RUN/STAGE` holds `key.json` (what is trained there), checkpoints and, when it is finished, `weights.safetensors` and
`done.json`. While it holds a finished stage, another one is trained beside it in `RUN/STAGE.new`; only when that is
finished does the earlier one become `RUN/STAGE.old1`, `.old2`, …
"""

import json
import os
from pathlib import Path

from hsc.errors import HscError
from hsc.files import write_atomically
from hsc.training.identity import StageIdentity

WEIGHTS = "weights.safetensors"
DONE = "done.json"
KEY = "key.json"
NEW = ".new"


def is_done(folder: Path, key: str) -> bool:
    """Whether the folder holds the stage with this key, finished."""
    return (folder / WEIGHTS).exists() and key_in(folder / DONE) == key == key_in(folder / KEY)


def key_in(file: Path) -> str | None:
    """The key in a stage's `key.json` or `done.json`; None where there is none."""
    try:
        return json.loads(file.read_text())["key"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def identity_in(folder: Path) -> StageIdentity | None:
    """Of the stage that is, or was, trained in the folder; None where it is not known."""
    try:
        return StageIdentity.from_json(json.loads((folder / KEY).read_text())["identity"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_identity(folder: Path, identity: StageIdentity) -> None:
    """Say what is trained in the folder."""
    record = {"key": identity.key, "identity": identity.to_json()}
    write_atomically(folder / KEY, json.dumps(record).encode())


def working_folder(folder: Path) -> Path:
    """Where a stage is trained whose place is `folder`: there, or beside what is finished there."""
    return folder.with_name(folder.name + NEW) if (folder / DONE).exists() else folder


def put_in_place(work: Path, folder: Path) -> Path | None:
    """Make a finished stage in its working folder the result; returns where the earlier one is kept now."""
    if work == folder:
        return None
    aside = set_aside(folder)
    _rename(work, folder)
    return aside


def finish_replacement(folder: Path) -> None:
    """After a crash between the two renames of `put_in_place`."""
    work = folder.with_name(folder.name + NEW)
    if not folder.exists() and (work / DONE).exists():
        _rename(work, folder)


def bring_back(folder: Path, key: str) -> Path | None:
    """Let an earlier result with this key be the result again; returns where it was kept, None where there is none."""
    earlier = next((place for place in sorted(folder.parent.glob(f"{folder.name}.old*")) if is_done(place, key)), None)
    if earlier is not None:
        set_aside(folder)
        _rename(earlier, folder)
    return earlier


def set_aside(folder: Path) -> Path | None:
    """Rename a stage's folder to `STAGE.old1`, …; returns its new place, None where it holds nothing."""
    if not folder.exists() or not any(folder.iterdir()):
        return None
    number, name = 1, folder.name.removesuffix(NEW)
    while (aside := folder.with_name(f"{name}.old{number}")).exists():
        number += 1
    _rename(folder, aside)
    return aside


def _rename(folder: Path, target: Path) -> None:
    try:
        os.rename(folder, target)
    except OSError as error:
        raise HscError(f"cannot rename {folder} to {target.name}: {error.strerror}") from error
