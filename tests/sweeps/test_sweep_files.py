"""Sweep files: those that come with hsc, what is refused, and values drawn from distributions."""

import contextlib
import math
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hsc.errors import HscError
from hsc.sweeps.command import command
from hsc.sweeps.parameters import DISTRIBUTIONS, nested, read_parameters
from hsc.sweeps.run import Settings, preview
from hsc.sweeps.sweep_file import parse_sweep, read_sweep

ROOT = Path(__file__).resolve().parent.parent.parent
SHIPPED = sorted((ROOT / "sweeps").glob("*.yaml"))
VALID = {
    "method": "random",
    "metric": {"name": "loss"},
    "parameters": {"x": {"min": 0.0, "max": 1.0}},
    "program": "train.py",
}


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_a_shipped_sweep_plans_trials_that_hsc_train_accepts(file, monkeypatch):
    monkeypatch.chdir(ROOT)
    lines = preview(read_sweep(file), Settings())
    assert len(lines) >= 2
    assert all(line.startswith("/usr/bin/env hsc train experiments/") for line in lines[:-1])


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_a_shipped_sweep_is_valid_for_wandb(file):
    theirs = pytest.importorskip("sweeps.config", reason="W&B's own schema comes with its sweeps package")
    assert not theirs.schema_violations_from_proposed_config(yaml.safe_load(file.read_text()))


def test_a_trial_that_hsc_train_would_refuse_is_refused_before_it_starts(monkeypatch):
    monkeypatch.chdir(ROOT)
    content = yaml.safe_load((ROOT / "sweeps/smoke.yaml").read_text())
    content["parameters"]["stages.joint.learing_rate"] = {"value": 1}
    with pytest.raises(HscError, match="did you mean 'stages"):
        preview(parse_sweep(content, "smoke"), Settings())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"method": "hill"}, "method"),
        ({"metric": None}, "what to improve"),
        ({"metric": {"name": "loss", "goal": "up"}}, "metric.goal"),
        ({"parameters": {}}, "parameters"),
        ({"parameters": {"x": {"value": 1}}}, "not constant"),
        ({"parameters": {"x": {"min": "1e-3", "max": 1.0}}}, "1.0e-3"),
        ({"parameters": {"x": {"min": 2, "max": 1}}}, "less than max"),
        ({"parameters": {"x": {"values": []}}}, "at least one"),
        ({"parameters": {"x": {"distribution": "uniform", "min": 0}}}, "needs max"),
        ({"parameters": {"x": {"values": [1, 2], "probabilities": [0.5, 0.6]}}}, "add up to 1"),
        ({"parameters": {"x": {"distribution": "log_uniform_values", "min": 0, "max": 1}}}, "above 0"),
        ({"method": "grid"}, "needs values"),
        ({"program": None}, "command"),
        ({"command": "hsc train"}, "list of words"),
        ({"run_cap": 0}, "run_cap"),
        ({"early_terminate": {"type": "hyperband"}}, "min_iter"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 1}}, "eta"),
        ({"early_terminate": {"type": "hyperband", "max_iter": 2, "s": 1, "eta": 3}}, "leaves no value"),
        ({"paramters": {}}, "unknown key paramters"),
    ],
)
def test_a_mistake_is_named(change, said):
    with pytest.raises(HscError, match=said):
        parse_sweep(VALID | change, "x")


def test_a_search_without_end_needs_a_count():
    with pytest.raises(HscError, match="run_cap"):
        preview(parse_sweep(VALID, "x"), Settings())
    assert len(preview(parse_sweep(VALID, "x"), Settings(count=3))) == 4


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["type", "name", "goal", "min", "max", "values", "x", "eta"]), inner)
        ),
        max_leaves=8,
    ),
    st.sampled_from(["method", "metric", "parameters", "command", "run_cap", "early_terminate", "name"]),
)
def test_nothing_but_a_sweep_or_a_clear_error_comes_of_a_file(content, key):
    with contextlib.suppress(HscError):
        assert parse_sweep(VALID | {key: content}, "x").metric.name


@settings(deadline=None)  # the first beta loads scipy
@given(st.sampled_from([name for name in DISTRIBUTIONS if "values" not in DISTRIBUTIONS[name] and name != "constant"]),
       st.floats(0, 1), st.floats(0, 1))  # fmt: skip
def test_quantiles_are_monotone_and_within_bounds(name, one, other):
    given_settings = {"min": 1, "max": 4} if "min" in DISTRIBUTIONS[name] else {}
    (parameter,) = read_parameters({"x": {"distribution": name, **given_settings}})
    low, high = parameter.quantile(min(one, other)), parameter.quantile(max(one, other))
    assert low <= high or math.isclose(low, high)
    if "values" in name or name in ("uniform", "int_uniform", "q_uniform"):
        assert 1 - 1e-9 <= low <= 4 + 1e-9


def test_nested_keys_reach_the_command_as_an_agent_passes_them():
    content = {
        "method": "grid",
        "metric": {"name": "loss"},
        "parameters": {
            "b.c": {"values": [1e-05, 2]},
            "a": {"parameters": {"x": {"value": True}, "y": {"values": [[1, 2]]}}},
        },
        "command": ["run", "${args}", "${args_no_hyphens}", "--", "${args_json}"],
    }
    sweep = parse_sweep(content, "x")
    assert [parameter.name for parameter in sweep.parameters] == ["a.x", "a.y", "b.c"]
    values = {"a.x": True, "a.y": [1, 2], "b.c": 1e-05}
    assert nested(sweep.parameters, values) == {"a": {"x": True, "y": [1, 2]}, "b.c": 1e-05}
    assert command(sweep, values) == [
        "run", "--a={'x': True, 'y': [1, 2]}", "--b.c=1e-05", "a={'x': True, 'y': [1, 2]}", "b.c=1e-05", "--",
        '{"a": {"x": true, "y": [1, 2]}, "b.c": 1e-05}',
    ]  # fmt: skip
    with pytest.raises(HscError, match="arguments"):
        command(parse_sweep(content | {"command": ["run", "${arguments}"]}, "x"), values)
