"""The state of each trial of a sweep, one small file per trial, from which the sweep can be continued."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from hsc.errors import HscError
from hsc.files import write_atomically

State = Literal["waiting", "running", "finished", "stopped", "failed"]
OVER = ("finished", "stopped", "failed")


@dataclass
class Attempt:
    """One process of a trial. ended: how, as text; None while it runs. process: the launcher's identification."""

    started: float
    process: dict[str, Any] = field(default_factory=dict)
    ended: str | None = None
    seconds: float | None = None


@dataclass
class Trial:
    """One set of values, and its state. values: by the parameters' names.

    waiting: to be (re)started · stopped: early, by hyperband · failed: no attempts left.
    """

    number: int
    values: dict[str, Any]
    state: State = "waiting"
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.number:03d}"

    @property
    def over(self) -> bool:
        return self.state in OVER

    @property
    def seconds(self) -> float:
        return sum(attempt.seconds or 0 for attempt in self.attempts)


@dataclass(frozen=True)
class SweepFolder:
    """The folder of a sweep: `sweep.yaml`, `sweep.json` (how it was started), `trials/NUMBER/` (run folders),
    `records/NUMBER.json`, `logs/NUMBER.txt` and, once there is a result, `best`, `index.html` and tables."""

    path: Path

    def run(self, trial: Trial) -> Path:
        return self.path / "trials" / trial.name

    def log(self, trial: Trial) -> Path:
        return self.path / "logs" / f"{trial.name}.txt"

    def save(self, trial: Trial) -> None:
        content = json.dumps(asdict(trial), indent=1)
        write_atomically(self.path / "records" / f"{trial.name}.json", content.encode())

    def load(self) -> list[Trial]:
        """All trials by number. Raises HscError for a damaged record."""
        return [_read(file) for file in sorted((self.path / "records").glob("*.json"))]

    def last_lines(self, trial: Trial, count: int) -> list[str]:
        """The last lines of the trial's output, without progress."""
        try:
            said = self.log(trial).read_text(errors="replace").splitlines()
        except OSError:
            return []
        return [line for line in said if line.strip()][-count:]


def unfinished(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that are still to be run to their end."""
    return [trial for trial in trials if not trial.over]


def _read(file: Path) -> Trial:
    try:
        content = json.loads(file.read_text())
        content["attempts"] = [Attempt(**attempt) for attempt in content["attempts"]]
        return Trial(**content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HscError(f"{file}: not readable ({error}); remove it to forget that trial") from error
