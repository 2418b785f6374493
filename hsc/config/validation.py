"""Plain mappings → dataclasses with validated fields, or a one-line error that names the key."""

import difflib
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from functools import cache, reduce
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from hsc.config.ranges import shown
from hsc.config.schema import RETIRED
from hsc.errors import HscError

AnyConfig = TypeVar("AnyConfig")
Place = Sequence[str | int]


def build(kind: type[AnyConfig], values: Any, what: str = "config") -> AnyConfig:
    """An object of the dataclass `kind`, with its nested ones. Raises HscError for the first value that does not fit:
    `WHAT: KEY.PATH: must be from A to B (not X)`.
    """
    try:
        return _adapter(kind).validate_python(values)  # type: ignore[arg-type]
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
    place = [part for part in found["loc"] if part != "[key]"]
    if found["type"] == "unexpected_keyword_argument":
        *above, key = place
        section: Any = reduce(_below, above, kind)
        if key in (names := RETIRED.get(section, {})):
            told = f"has been renamed to {names[key]}" if names[key] else "has been removed; delete it"
            raise HscError(f"{what}: {path_of(place)}: {told}")
        known = [field.name for field in fields(section) if field.init]
        raise HscError(f"{what}: {unknown('key', key, known, above)}")
    raise HscError(f"{what}: {path_of(place)}: {_complaint(found)}")


def renamed(kind: Any, values: Any) -> Any:
    """Values for `kind` written by an earlier version of hsc, under the current names."""
    names = RETIRED.get(kind, {})
    if isinstance(values, dict):
        current = {names.get(key, key): value for key, value in values.items()}
        return {key: renamed(_below(kind, key), value) for key, value in current.items() if key is not None}
    return names.get(values, values) if isinstance(values, str) else values


def unknown(what: str, name: Any, known: Sequence[str], place: Place = ()) -> str:
    """`unknown key 'stages.a.stepz', did you mean 'stages.a.steps'?`, or with all known names."""
    text = f"unknown {what} {path_of([*place, name])!r}"
    if near := difflib.get_close_matches(str(name), known, 1, 0.5):
        return f"{text}, did you mean {path_of([*place, near[0]])!r}?"
    return f"{text} (known: {', '.join(known)})"


def path_of(place: Place) -> str:
    """`model.lambdas[0]`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


@cache
def _adapter(kind: Any) -> TypeAdapter:
    return TypeAdapter(kind)


def _complaint(found: Any) -> str:
    kind, value = found["type"], found["input"]
    if kind == "value_error":
        return str(found["ctx"]["error"])
    if kind == "missing":
        return "must be given"
    if kind in ("dataclass_type", "dict_type"):
        if value is None:
            return "is empty; write its keys below it, or leave it out"
        return f"must be a mapping of keys, such as {{key: value}} (not {shown(value)})"
    if kind == "list_type":
        example = shown(value) if isinstance(value, str | int | float) else "first, second"
        return f"must be a list, such as [{example}] (not {shown(value)})"
    if kind == "literal_error":
        return f"must be {found['ctx']['expected'].replace(chr(39), '')} (not {shown(value)})"
    if kind in ("too_short", "too_long"):
        limits = found["ctx"]
        bound = f"at least {limits['min_length']}" if kind == "too_short" else f"at most {limits['max_length']}"
        return f"must have {bound} entries (not {limits['actual_length']})"
    if kind.startswith("string_") or kind == "invalid_key":
        return f"must be text (not {shown(value)})"
    if kind.startswith("bool_"):
        return f"must be true or false (not {shown(value)})"
    return f"{found['msg']} (not {shown(value)})"


def _below(kind: Any, part: str | int) -> Any:
    """The type of the element with key or index `part` in a dataclass, a mapping or a list; Any if there is none."""
    if is_dataclass(kind):
        found = get_type_hints(kind).get(str(part), Any)
        return get_args(found)[0] if NoneType in get_args(found) else found
    return (get_args(kind) or (Any,))[-1]
