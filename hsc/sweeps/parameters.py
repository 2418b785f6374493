"""The `parameters` of a sweep file: the values a hyperparameter can take, in W&B's format."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from hsc.config.ranges import shown
from hsc.errors import HscError

# Required settings and defaults of each distribution; with `q` (default 1) values are rounded to multiples of `q`.
DISTRIBUTIONS: dict[str, dict[str, float | None]] = {
    "constant": {"value": None},
    "categorical": {"values": None},
    "categorical_w_probabilities": {"values": None, "probabilities": None},
    "int_uniform": {"min": None, "max": None},
    "uniform": {"min": None, "max": None},
    "q_uniform": {"min": None, "max": None, "q": 1},
    "log_uniform": {"min": None, "max": None},
    "log_uniform_values": {"min": None, "max": None},
    "q_log_uniform": {"min": None, "max": None, "q": 1},
    "q_log_uniform_values": {"min": None, "max": None, "q": 1},
    "inv_log_uniform": {"min": None, "max": None},
    "inv_log_uniform_values": {"min": None, "max": None},
    "normal": {"mu": 0, "sigma": 1},
    "q_normal": {"mu": 0, "sigma": 1, "q": 1},
    "log_normal": {"mu": 0, "sigma": 1},
    "q_log_normal": {"mu": 0, "sigma": 1, "q": 1},
    "beta": {"a": 1, "b": 1},
    "q_beta": {"a": 1, "b": 1, "q": 1},
}
LARGEST = 1e300  # larger numbers would overflow in calculations
LARGEST_LOGARITHM = 690
EDGE = 1e-9  # how close to 0 and 1 the quantiles of unbounded distributions are evaluated


@dataclass(frozen=True)
class Parameter:
    """One hyperparameter. `path`: its keys in the file from the outside in; a key may itself contain dots."""

    path: tuple[str, ...]
    distribution: str
    settings: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The parameter as a key of an experiment, such as stages.joint.learning_rate."""
        return ".".join(self.path)

    @property
    def constant(self) -> bool:
        return self.distribution == "constant"

    @property
    def choices(self) -> Sequence[Any] | None:
        """The values of a parameter if they can be enumerated; None if it is continuous."""
        given = self.settings
        if self.constant:
            return [given["value"]]
        if self.distribution == "categorical":
            return list(given["values"])
        if self.distribution == "int_uniform":
            return range(given["min"], given["max"] + 1)
        if self.distribution == "q_uniform":  # as in W&B, without the upper end
            count = math.ceil((given["max"] - given["min"]) / given["q"] - EDGE)
            return [given["min"] + step * given["q"] for step in range(count)]
        return None

    def quantile(self, share: float) -> Any:
        """The value below which this share (0 to 1) of the distribution lies (inverse distribution function)."""
        given = self.settings
        if self.constant:
            return given["value"]
        if self.distribution == "categorical":
            return given["values"][min(int(share * len(given["values"])), len(given["values"]) - 1)]
        if self.distribution == "categorical_w_probabilities":
            return _weighted(given["values"], given["probabilities"], share)
        if self.distribution == "int_uniform":
            return min(given["min"] + int(share * (given["max"] - given["min"] + 1)), given["max"])
        value = _continuous(self.distribution.removeprefix("q_"), given, share)
        if not self.distribution.startswith("q_"):
            return value
        rounded = round(value / given["q"]) * given["q"]
        return int(rounded) if isinstance(given["q"], int) else rounded


def read_parameters(content: Mapping[str, Any], path: tuple[str, ...] = ()) -> list[Parameter]:
    """The parameters of a file, nested ones included, sorted by key as W&B does.

    Raises HscError for anything that W&B would reject.
    """
    if not isinstance(content, Mapping) or not content:
        where = ".".join(("parameters", *path))
        raise HscError(f"sweep: {where}: must be a mapping of names, such as {{seed: {{values: [0, 1]}}}}")
    found: list[Parameter] = []
    for key, settings in sorted(content.items(), key=lambda item: str(item[0])):
        here = (*path, str(key))
        if not isinstance(settings, Mapping):
            raise HscError(
                f"sweep: parameters.{'.'.join(here)}: write {{value: X}}, {{values: [X, Y]}} or {{min: X, max: Y}}"
            )
        if "parameters" in settings:
            found += read_parameters(settings["parameters"], here)
        else:
            found.append(_read_parameter(here, dict(settings)))
    return found


def nested(parameters: list[Parameter], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by name, as W&B passes them to a command: by the outermost key, with nested keys as a mapping."""
    result: dict[str, Any] = {}
    for parameter in parameters:
        place = result
        for key in parameter.path[:-1]:
            place = place.setdefault(key, {})
        place[parameter.path[-1]] = values[parameter.name]
    return result


def _read_parameter(path: tuple[str, ...], settings: dict[Any, Any]) -> Parameter:
    where = f"sweep: parameters.{'.'.join(path)}"
    settings = {str(key): value for key, value in settings.items()}
    distribution = str(settings.pop("distribution", None) or _implied(settings))
    if distribution not in DISTRIBUTIONS:
        raise HscError(f"{where}: distribution {distribution!r} is none of {', '.join(DISTRIBUTIONS)}")
    known = DISTRIBUTIONS[distribution]
    if wrong := settings.keys() - known.keys():
        raise HscError(f"{where}: {distribution} does not take {', '.join(sorted(wrong))} (it has {', '.join(known)})")
    missing = [key for key, default in known.items() if default is None and key not in settings]
    if missing:
        raise HscError(f"{where}: {distribution} needs {', '.join(missing)}")
    settings = {key: settings.get(key, default) for key, default in known.items()}
    _check(where, distribution, settings)
    return Parameter(path, distribution, settings)


def _implied(settings: Mapping[str, Any]) -> str:
    if "value" in settings:
        return "constant"
    if "values" in settings:
        return "categorical_w_probabilities" if "probabilities" in settings else "categorical"
    bounds = [settings.get("min"), settings.get("max")]
    return "int_uniform" if all(type(bound) is int for bound in bounds) else "uniform"


def _check(where: str, distribution: str, settings: Mapping[str, Any]) -> None:
    if "values" in settings and not (isinstance(settings["values"], list) and settings["values"]):
        raise HscError(f"{where}: values must be a list of at least one")
    if "probabilities" in settings:
        shares = settings["probabilities"]
        listed = isinstance(shares, list) and len(shares) == len(settings["values"]) and all(map(_is_number, shares))
        if not listed or abs(sum(shares) - 1) > 1e-6 or min(shares) < 0:
            raise HscError(f"{where}: probabilities: give each value one, such as [0.5, 0.5]; they add up to 1")
    for key, value in settings.items():
        if key in ("value", "values"):
            if not _is_plain(value):
                raise HscError(f"{where}: {key}: put dates and the like in quotes")
        elif key != "probabilities" and not _is_number(value):
            raise HscError(f"{where}: {key}: {shown(value)} is not a number (YAML needs 1.0e-3, not 1e-3)")
    if distribution == "int_uniform" and not all(type(settings[key]) is int for key in ("min", "max")):
        raise HscError(f"{where}: int_uniform needs whole numbers for min and max")
    if "min" in settings and settings["min"] >= settings["max"]:
        raise HscError(f"{where}: min must be less than max")
    if "log_uniform_values" in distribution and settings["min"] <= 0:
        raise HscError(f"{where}: min must be above 0")
    if distribution.removeprefix("q_") in ("log_uniform", "inv_log_uniform", "log_normal"):
        bounds = [settings[key] for key in ("min", "max") if key in settings]
        bounds = bounds or [settings["mu"] - 6 * settings["sigma"], settings["mu"] + 6 * settings["sigma"]]
        if max(map(abs, bounds)) > LARGEST_LOGARITHM:
            raise HscError(
                f"{where}: {distribution} takes logarithms; for the values themselves write log_uniform_values"
            )
    if settings.get("q", 1) <= 0 or settings.get("sigma", 1) < 0 or min(settings.get("a", 1), settings.get("b", 1)) < 0:
        raise HscError(f"{where}: q must be above 0; sigma, a and b must not be below")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST


def _is_plain(value: Any) -> bool:
    """Whether the value can be written as JSON, as trials are."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str | int) for key in value) and all(map(_is_plain, value.values()))
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float)


def _weighted(values: list[Any], probabilities: list[float], share: float) -> Any:
    reached = 0.0
    for value, probability in zip(values, probabilities, strict=True):
        reached += probability
        if share < reached:
            return value
    return values[-1]


def _continuous(distribution: str, given: Mapping[str, Any], share: float) -> float:
    if distribution in ("normal", "log_normal"):
        value = given["mu"] + given["sigma"] * NormalDist().inv_cdf(min(max(share, EDGE), 1 - EDGE))
        return math.exp(value) if distribution == "log_normal" else value
    if distribution == "beta":
        from scipy.special import betaincinv

        return float(betaincinv(given["a"], given["b"], share))
    low, high = given["min"], given["max"]
    if distribution.endswith("_values"):
        low, high = math.log(low), math.log(high)
    if distribution == "inv_log_uniform":  # the bounds are of log(1 / value)
        return math.exp(share * (high - low) - high)
    value = low + share * (high - low)
    return value if distribution == "uniform" else math.exp(value)
