"""The range of a number in the config, as part of the field's type: `steps: Annotated[int, Range(1, 10**9)]`."""

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationError, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class Range:
    """From `low` to `high`, including the ends unless `above` (low) or `below` (high) excludes them.

    NaN is in no range. With `multiple_of`, only its multiples are.
    """

    low: float
    high: float
    above: bool = False
    below: bool = False
    multiple_of: int = 1

    def holds(self, number: float) -> bool:
        """Whether the value is in the range."""
        low = self.low < number if self.above else self.low <= number
        high = number < self.high if self.below else number <= self.high
        return low and high and (self.multiple_of == 1 or number % self.multiple_of == 0)

    def __str__(self) -> str:
        low = f"above {_plain(self.low)} and up" if self.above else f"from {_plain(self.low)}"
        high = f"to below {_plain(self.high)}" if self.below else f"to {_plain(self.high)}"
        multiples = f" and a multiple of {self.multiple_of}" if self.multiple_of > 1 else ""
        return f"{low} {high}{multiples}"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        kind = "a whole number" if source is int else "a number"

        def validated(value: Any, convert: ValidatorFunctionWrapHandler) -> Any:
            try:
                number = None if isinstance(value, bool) else convert(value)
            except ValidationError:
                number = None
            if number is None:
                raise ValueError(f"must be {kind} {self} (not {shown(value)})")
            if not self.holds(number):
                raise ValueError(f"must be {self} (not {shown(value)})")
            return number

        return core_schema.no_info_wrap_validator_function(validated, handler(source))


def shown(value: Any) -> str:
    """A value for use in messages: in YAML, truncated if it is long."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value[:4]))}{', …' if len(value) > 4 else ''}]"
    text = str(value)
    text = text if text.isprintable() and text.strip() == text != "" else repr(text)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _plain(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"
