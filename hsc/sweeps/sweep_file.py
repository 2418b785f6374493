"""Reading and checking a sweep file in W&B's format: https://docs.wandb.ai/models/sweeps/sweep-config-keys."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field

from hsc.config.ranges import Range
from hsc.config.schema import Count, Section
from hsc.config.validation import build
from hsc.errors import HscError
from hsc.sweeps.parameters import Parameter, read_parameters

MOST_BANDS = 100
LARGEST_GRID = 10**6
UNREADABLE_BY_TRAIN = ("${args_no_equals}", "${args_json}", "${args_append_hydra}", "${args_override_hydra}")


@dataclass
class Metric(Section):
    """The objective of a sweep: the best value that each trial reaches."""

    name: str
    goal: Literal["minimize", "maximize"] = "minimize"

    @property
    def maximize(self) -> bool:
        return self.goal == "maximize"

    @property
    def quality(self) -> str:
        """The name without the layer, such as lpips for val/enhanced/lpips."""
        return self.name.rpartition("/")[2]

    def loss(self, value: float) -> float:
        """The value as a loss: less is better."""
        return -value if self.maximize else value


@dataclass
class Hyperband(Section):
    """Early stopping at `bands`, the numbers of metric values after which a trial is compared with all others.

    To continue, its best value (strict: its value at the band) must be among the best 1/eta of all at that band.
    """

    type: Literal["hyperband"]
    min_iter: Count | None = None
    max_iter: Count | None = None
    s: Count | None = None
    eta: Annotated[float, Range(1, 1000, above=True)] = 3.0
    strict: bool = True

    @property
    def bands(self) -> tuple[int, ...]:
        """In increasing order; empty if neither `min_iter` nor `max_iter` and `s` are given."""
        if self.max_iter is not None and self.s is not None:
            steps = [self.max_iter / self.eta**power for power in range(1, min(self.s, MOST_BANDS) + 1)]
            return tuple(sorted(int(step) for step in steps if step >= 1))
        if self.min_iter is None:
            return ()
        # Bands beyond the length of any trial have no effect.
        powers = range(min(MOST_BANDS, math.ceil(math.log(1e9, self.eta))))
        return tuple(int(self.min_iter * self.eta**power) for power in powers)


@dataclass
class Sweep(Section):
    """A sweep file. content: all of it, as passed to W&B."""

    method: Literal["grid", "random", "bayes"]
    metric: Metric
    parameters: Annotated[list[Parameter], BeforeValidator(read_parameters)]
    name: Annotated[str, BeforeValidator(lambda name: name or "")] = ""
    description: str | None = None
    project: str | None = None
    entity: str | None = None
    command: Annotated[list[str], Field(min_length=1)] | None = None
    program: str | None = None
    run_cap: Count | None = None
    early_terminate: Hyperband | None = None
    content: Mapping[str, Any] = field(default_factory=dict, init=False)

    @property
    def searched(self) -> list[Parameter]:
        """The parameters that differ from trial to trial."""
        return [parameter for parameter in self.parameters if not parameter.constant]

    def describe(self, values: Mapping[str, Any]) -> str:
        """The values that distinguish a trial from the others."""
        texts = [f"{parameter.name}={_short(values.get(parameter.name))}" for parameter in self.searched]
        return " ".join(texts) or "one trial"


def read_sweep(path: str | Path) -> Sweep:
    """Read a sweep file. Raises HscError, in one sentence, if it is missing or W&B would reject it."""
    try:
        content = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise HscError(f"{path}: no such sweep file; those that come with hsc are in sweeps/") from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise HscError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from error
    try:
        return parse_sweep(content, Path(path).stem)
    except RecursionError as error:
        raise HscError(f"{path}: it contains itself (an anchor such as &a that is used below itself)") from error


def parse_sweep(content: Any, name: str) -> Sweep:
    """A sweep from the content of its file; `name` is for files without one."""
    if not isinstance(content, Mapping):
        raise HscError("sweep: the file must hold a mapping of keys, such as `method: grid`")
    if content.get("metric") is None:
        raise HscError("sweep: metric: name what to improve, such as {name: val/enhanced/lpips, goal: minimize}")
    sweep = build(Sweep, dict(content), "sweep")
    if not sweep.metric.name.startswith("val/"):
        raise HscError(f"sweep: metric: {sweep.metric.name} is not logged by validation; name one of val/…")
    sweep.name, sweep.content = sweep.name or name, content
    if not sweep.command and not sweep.program:
        raise HscError("sweep: give command: [hsc, train, FILE, '${args}'], or a program")
    if sweep.early_terminate and not sweep.early_terminate.bands:
        raise HscError(
            "sweep: early_terminate: leaves no value after which a trial could be stopped; give min_iter, or a larger "
            "max_iter with s"
        )
    _check_method(sweep)
    _check_macros(sweep)
    return sweep


def _check_macros(sweep: Sweep) -> None:
    """Reject macros with which `hsc train` would get no values, or others than those in the sweep's table."""
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
            raise HscError(f"sweep: command: hsc train does not support {word}; write ${{args}} or ${{args_json_file}}")


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


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
