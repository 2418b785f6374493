"""Any text in a file or on the command line gives a config or a one-line error."""

import tempfile
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hsc import config
from hsc.config import Config
from hsc.errors import HscError

EXPERIMENT = {
    "name": "test",
    "defaults": {"data": {"path": "faces.zip"}, "losses": {"enhanced": {"l2": 1}}},
    "stages": {"prior": {"module": "prior", "train": ["generator"]}, "joint": {"steps": 3}},
    "run": ["prior", "joint"],
}


def places(kind: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every key of the schema, including sections."""
    if get_origin(kind) is dict:
        return [
            place for key in ("joint", "enhanced") for place in [(*path, key), *places(get_args(kind)[1], (*path, key))]
        ]
    if not is_dataclass(kind):
        return []
    hints = {name: hint for name, hint in get_type_hints(kind).items() if not name.startswith("_")}
    return [place for name, hint in hints.items() for place in [(*path, name), *places(hint, (*path, name))]]


references = ["${seed}", "${", "${a.b}", "${.steps}", "${stages.joint}", "${defaults}", "???", "None", "${oc.env:NO}"]
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(references)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3),
    max_leaves=5,
)


def outcome(files: list[str], words: list[str]) -> Config | str:
    """The config, or the one-line error message."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{place}.yaml" for place in range(len(files))]
        for path, text in zip(paths, files, strict=True):
            path.write_text(text, encoding="utf-8", errors="surrogatepass")
        try:
            return config.load(paths, words)
        except HscError as error:
            said = str(error)
    assert "\n" not in said
    assert "unexpected error" not in said
    return said


@settings(suppress_health_check=list(HealthCheck))
@given(st.sampled_from(places(Config)), values, st.text(max_size=12))
@example(("stages", "joint", "data"), "${stages.prior.data}", "")
@example(("defaults", "data"), "${defaults}", "")
@example(("stages", "joint"), "${stages.joint}", "")
@example(("model", "layers"), {}, "")
@example(("name",), {"\n": "${0}"}, "")
def test_any_value_at_any_key_of_a_file_and_of_a_word(place: tuple[str, ...], value: Any, text: str) -> None:
    branch = value
    for key in reversed(place):
        branch = {key: branch}
    found = outcome([yaml.safe_dump(EXPERIMENT), yaml.safe_dump(branch)], [])
    if isinstance(found, Config):
        asdict(found)
    outcome([yaml.safe_dump(EXPERIMENT)], [f"{'.'.join(place)}={text or value}"])


@settings(suppress_health_check=list(HealthCheck))
@given(st.text(max_size=20) | values.map(yaml.safe_dump), st.text(max_size=12))
@example("a: &a [*a]", "x=1")
@example("a: !!python/object:os.system x", "=")
@example("? [1, 2]\n: 3", "a..b=1")
@example("2026-11-26: x", "run[0]=x")
@example("name: [" * 2000, "name=${name}")
@example("'0'", "name='")
def test_any_file_and_any_word(text: str, word: str) -> None:
    with suppress(UnicodeEncodeError):
        outcome([text], [])
    outcome([yaml.safe_dump(EXPERIMENT)], [word])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("defaults:\n  - base\n  - model: big\n", "in Hydra; give the files on the command line"),
        ("defaults:\n", "config: defaults: is empty; write its keys below it, or leave it out"),
        ("model:\n", "config: model: is empty"),
        ("stages: {joint: {data: }}\n", "config: stages.joint.data: is empty"),
        ("run: basic\n", "config: run: must be a list, such as [basic] (not basic)"),
        ("stages: [prior, joint]\n", "config: stages: must be a mapping of keys"),
        ("model: {layers: {basic: 3}}\n", "config: model.layers.basic: must be a mapping of keys"),
        ("defaults: {data: {train: 42}}\n", "config: defaults.data.train: must be a range of names"),
        ("defaults: {data: {path: []}}\n", "config: defaults.data.path: must be a folder, a zip, or a list of these"),
        ("defaults: {data: {path: [a.zip, 7]}}\n", "a list of these; numbers in quotes (not [a.zip, 7])"),
        ("defaults: {compile: maybe}\n", "config: defaults.compile: must be true or false (not maybe)"),
        ("title: [a]\n", "config: title: must be text (not [a])"),
        ("seed: ${sead}\n", "config: seed: Interpolation key 'sead' not found"),
        ("seed: ${seed}\n", "config: seed: "),
    ],
)
def test_what_is_written_otherwise_says_what_to_write(text: str, message: str) -> None:
    found = outcome([yaml.safe_dump(EXPERIMENT), text], [])
    assert isinstance(found, str)
    assert message in found


def test_fields_with_defaults_can_be_referred_to() -> None:
    joint = "{warmup: '${.steps}', save_every: '${stages.prior.steps}', grad_clip: '${seed}'}"
    text = f"name: run-${{seed}}\nstages: {{joint: {joint}}}"
    found = outcome([yaml.safe_dump(EXPERIMENT), text], ["defaults.validate_every=${devices}"])
    assert isinstance(found, Config)
    stage = found.stages["joint"]
    assert (found.name, stage.warmup, stage.save_every) == ("run-0", 3, 1000)
    assert (stage.grad_clip, stage.validate_every) == (0, 1)
