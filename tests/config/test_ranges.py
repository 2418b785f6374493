"""Every number of the config has a range, and the error for a value outside it states the range."""

from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
from test_any_input import EXPERIMENT  # noqa: F401  used by the `experiment` fixture

from hsc import config
from hsc.config.ranges import Range
from hsc.config.schema import Config
from hsc.config.validation import build
from hsc.errors import HscError


def numbers(kind: Any, path: str) -> Iterator[tuple[str, Range | None]]:
    """Path and range of every number in a type, including those in lists and mappings (`model.lambdas[0]`)."""
    if is_dataclass(kind):
        for name, hint in get_type_hints(kind, include_extras=True).items():
            if not name.startswith("_"):
                yield from numbers(hint, f"{path}.{name}" if path else name)
    elif get_origin(kind) is Annotated:
        inner, *extras = get_args(kind)
        if inner in (int, float):
            yield path, next((extra for extra in extras if isinstance(extra, Range)), None)
        else:
            yield from numbers(inner, path)
    elif kind in (int, float):
        yield path, None
    elif get_origin(kind) is list:
        yield from numbers(get_args(kind)[0], f"{path}[0]")
    elif get_origin(kind) is dict:
        yield from numbers(get_args(kind)[1], f"{path}.KEY")


NUMBERS = dict(numbers(Config, ""))


def test_every_number_has_a_range_that_holds_its_default() -> None:
    assert [path for path, range_ in NUMBERS.items() if range_ is None] == []
    assert {"model.lambdas[0]", "stages.KEY.losses.KEY.KEY", "model.layers.KEY.dim"} <= set(NUMBERS)
    build(Config, asdict(Config()))


def assert_refused(experiment: Path, path: str, value: str) -> None:
    key, in_list = path.replace("losses.KEY.KEY", "losses.enhanced.l2"), path.endswith("[0]")
    key = key.replace("layers.KEY", "layers.basic").replace("lr_scale.KEY", "lr_scale.heads").replace("KEY", "enhanced")
    word = f"{key[:-3]}=[{value}]" if in_list else f"{key}={value}"
    with pytest.raises(HscError) as caught:
        config.load([experiment], [word])
    expected = f"config: {key}: must be"
    assert str(caught.value).startswith(expected) or (in_list and "must have at least 2 entries" in str(caught.value))


@pytest.mark.parametrize("path", [path for path in NUMBERS if not path.startswith("stages.")])
def test_what_is_out_of_range_is_refused_by_its_path(experiment: Path, path: str) -> None:
    assert_refused(experiment, path, "-1")


@pytest.mark.parametrize("path", ["seed", "defaults.learning_rate", "model.lambdas[0]", "defaults.losses.KEY.KEY"])
def test_what_is_no_number_of_its_kind_is_refused(experiment: Path, path: str) -> None:
    for value in (".nan", ".inf", "-.inf", "1e30", "true", "null", "{a: 1}", "[1]", "some", '""'):
        assert_refused(experiment, path, value)


def test_both_ends_are_named(experiment: Path) -> None:
    for word, message in (
        ("seed=-1", "config: seed: must be from 0 to 4294967295 (not -1)"),
        ("defaults.learning_rate=0", "config: defaults.learning_rate: must be above 0 and up to 1 (not 0)"),
        ("defaults.betas=[0.9,1]", "config: defaults.betas[1]: must be from 0 to below 1 (not 1)"),
        ("model.encoder.pyramid_channels=24", "must be from 16 to 4096 and a multiple of 16 (not 24)"),
        (
            "stages.joint.losses.enhanced.l2=-1",
            "config: stages.joint.losses.enhanced.l2: must be from 0 to 1000000 (not -1)",
        ),
    ):
        with pytest.raises(HscError) as caught:
            config.load([experiment], [word])
        assert message in str(caught.value)


def test_numbers_may_be_written_as_text_or_with_an_exponent(experiment: Path) -> None:
    loaded = config.load([experiment], ["stages.joint.steps=1e3", 'stages.joint.warmup="7"', "defaults.grad_clip=2"])
    stage = loaded.stages["joint"]
    assert (stage.steps, stage.warmup, stage.grad_clip) == (1000, 7, 2.0)
    assert [type(number) for number in (stage.steps, stage.warmup, stage.grad_clip)] == [int, int, float]
