"""A sweep file, as W&B defines it, read and checked: https://docs.wandb.ai/models/sweeps/sweep-config-keys."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hsc.config.ranges import shown
from hsc.errors import HscError
from hsc.sweeps.parameters import Parameter, read_parameters

METHODS = ("grid", "random", "bayes")
KEYS = {
    "name", "description", "project", "entity", "method", "metric", "parameters", "command", "program", "run_cap",
    "early_terminate",
}  # fmt: skip
HYPERBAND_KEYS = {"type", "min_iter", "max_iter", "s", "eta", "strict"}
MOST_BANDS = 100
LARGEST_GRID = 10**6
LARGEST_COUNT = 10**9
UNREADABLE_BY_TRAIN = ("${args_no_equals}", "${args_json}", "${args_append_hydra}", "${args_override_hydra}")


@dataclass(frozen=True)
class Metric:
    """What a sweep improves: the best value that each trial reaches."""

    name: str
    maximize: bool

    @property
    def quality(self) -> str:
        """Without the layer, such as lpips of val/enhanced/lpips."""
        return self.name.rpartition("/")[2]

    def loss(self, value: float) -> float:
        """Less is better."""
        return -value if self.maximize else value


@dataclass(frozen=True)
class Hyperband:
    """Early stopping. bands: numbers of values of the metric after which a trial is compared with all others.

    To go on, its best value (strict: its value at the band) must be among the best 1/eta of theirs there.
    """

    bands: tuple[int, ...]
    eta: float
    strict: bool


@dataclass(frozen=True)
class Sweep:
    """A sweep file. content: all of it, as W&B takes it."""

    name: str
    method: str
    metric: Metric
    parameters: list[Parameter]
    command: list[str] | None
    program: str | None
    run_cap: int | None
    hyperband: Hyperband | None
    content: Mapping[str, Any]

    @property
    def searched(self) -> list[Parameter]:
        """The parameters that differ from trial to trial."""
        return [parameter for parameter in self.parameters if not parameter.constant]

    def describe(self, values: Mapping[str, Any]) -> str:
        """The values that tell a trial from the others."""
        texts = [f"{parameter.name}={_short(values.get(parameter.name))}" for parameter in self.searched]
        return " ".join(texts) or "one trial"


def read_sweep(path: str | Path) -> Sweep:
    """Raises HscError, in a sentence, for a file that is missing or that W&B would refuse."""
    try:
        content = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise HscError(f"{path}: no such sweep file; sweeps/ holds the ones that come with hsc") from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise HscError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from error
    try:
        return parse_sweep(content, Path(path).stem)
    except RecursionError as error:
        raise HscError(
            f"{path}: something in it holds itself (an anchor such as &a that is used below itself)"
        ) from error


def parse_sweep(content: Any, name: str) -> Sweep:
    """A sweep from the content of its file; `name` is for files that give none."""
    if not isinstance(content, Mapping):
        raise HscError("sweep: the file must hold a mapping of keys, such as `method: grid`")
    if unknown := content.keys() - KEYS:
        raise HscError(
            f"sweep: unknown key {', '.join(map(str, sorted(unknown, key=str)))} (known: {', '.join(sorted(KEYS))})"
        )
    for key in ("name", "project", "entity", "program"):
        if not isinstance(content.get(key), str | int | None):
            raise HscError(f"sweep: {key}: must be text, such as my-sweep")
    if content.get("method") not in METHODS:
        raise HscError(f"sweep: method: {content.get('method')!r} is none of {', '.join(METHODS)}")
    if not isinstance(content.get("parameters"), Mapping) or not content["parameters"]:
        raise HscError("sweep: parameters: names nothing to try")
    command = content.get("command")
    if command is not None and not (isinstance(command, list) and command):
        raise HscError("sweep: command: must be a list of words, such as [hsc, train, FILE, '${args}']")
    if not command and not content.get("program"):
        raise HscError("sweep: give command: [hsc, train, FILE, '${args}'], or a program")
    sweep = Sweep(
        name=str(content.get("name") or name),
        method=content["method"],
        metric=_metric(content.get("metric")),
        parameters=read_parameters(content["parameters"]),
        command=None if command is None else [str(word) for word in command],
        program=content.get("program"),
        run_cap=_count("run_cap", content["run_cap"]) if content.get("run_cap") is not None else None,
        hyperband=_hyperband(content["early_terminate"]) if content.get("early_terminate") else None,
        content=content,
    )
    _check_method(sweep)
    _check_macros(sweep)
    return sweep


def _check_macros(sweep: Sweep) -> None:
    """What `hsc train` would not see, or see otherwise than the sweep's table says."""
    words = sweep.command or []
    if "${args_no_boolean_flags}" in words:
        for parameter in sweep.parameters:
            values = parameter.settings.get("values", [parameter.settings.get("value")])
            if any(isinstance(value, bool) for value in values):
                raise HscError(
                    f"sweep: parameters.{parameter.name}: ${{args_no_boolean_flags}} leaves out what is false: such "
                    "a trial would train with what the experiment says; write ${args} in the command"
                )
    for word in words:
        if "train" in words and word in UNREADABLE_BY_TRAIN:
            raise HscError(f"sweep: command: hsc train reads no {word}; write ${{args}} or ${{args_json_file}}")


def _check_method(sweep: Sweep) -> None:
    if sweep.method == "grid":
        for parameter in sweep.parameters:
            if parameter.choices is None:
                raise HscError(
                    f"sweep: parameters.{parameter.name}: method grid needs values, not {parameter.distribution}"
                )
        if math.prod(len(parameter.choices or ()) for parameter in sweep.parameters) > LARGEST_GRID:
            raise HscError(f"sweep: parameters: a grid of more than {LARGEST_GRID} trials; use method: random")
    elif not sweep.searched:
        raise HscError(f"sweep: parameters: method {sweep.method} needs one that is not constant")


def _metric(content: Any) -> Metric:
    if not isinstance(content, Mapping) or not content.get("name"):
        raise HscError("sweep: metric: say what to improve, such as {name: val/enhanced/lpips, goal: minimize}")
    if content.get("goal", "minimize") not in ("minimize", "maximize"):
        raise HscError(f"sweep: metric.goal: {content['goal']!r} is neither minimize nor maximize")
    if unknown := content.keys() - {"name", "goal"}:
        raise HscError(
            f"sweep: metric: {', '.join(sorted(map(str, unknown)))} only works on W&B's own server; leave it out"
        )
    return Metric(str(content["name"]), content.get("goal") == "maximize")


def _hyperband(content: Any) -> Hyperband:
    if not isinstance(content, Mapping) or content.get("type") != "hyperband":
        raise HscError("sweep: early_terminate.type: must be hyperband")
    if unknown := content.keys() - HYPERBAND_KEYS:
        raise HscError(f"sweep: early_terminate: unknown key {', '.join(sorted(map(str, unknown)))}")
    eta = content.get("eta", 3)
    if not isinstance(eta, int | float) or isinstance(eta, bool) or not 1 < eta <= 1000:
        raise HscError(f"sweep: early_terminate.eta: must be a number above 1 and up to 1000 (not {shown(eta)})")
    if not isinstance(content.get("strict", True), bool):
        raise HscError(f"sweep: early_terminate.strict: must be true or false (not {shown(content['strict'])})")
    if "max_iter" in content:
        last, count = _count("early_terminate.max_iter", content["max_iter"]), content.get("s")
        steps = [last / eta**power for power in range(1, min(_count("early_terminate.s", count), MOST_BANDS) + 1)]
        bands = sorted(int(step) for step in steps if step >= 1)
    else:
        first = _count("early_terminate.min_iter", content.get("min_iter"))
        # Beyond what any trial reaches, further bands change nothing.
        bands = [int(first * eta**power) for power in range(min(MOST_BANDS, math.ceil(math.log(1e9, eta))))]
    if not bands:
        raise HscError("sweep: early_terminate: leaves no value after which a trial could be stopped")
    return Hyperband(tuple(bands), float(eta), bool(content.get("strict", True)))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _count(key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LARGEST_COUNT:
        raise HscError(f"sweep: {key}: must be a whole number from 1 to {LARGEST_COUNT} (not {shown(value)})")
    return value
