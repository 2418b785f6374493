"""Sweep files: refused content, the commands of trials, and values drawn from distributions."""

import contextlib
import datetime
import math
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hsc.errors import HscError
from hsc.sweeps.command import command, experiment
from hsc.sweeps.parameters import DISTRIBUTIONS, nested, read_parameters
from hsc.sweeps.run import Settings, preview
from hsc.sweeps.sweep_file import Sweep, parse_sweep, read_sweep

ROOT = Path(__file__).resolve().parent.parent.parent
VALID = {
    "method": "random",
    "metric": {"name": "val/loss"},
    "parameters": {"x": {"min": 0.0, "max": 1.0}},
    "program": "train.py",
}


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("stages.joint.learing_rate", "did you mean 'stages"),
        ("defaults.rates.heads", r"defaults\.rates: has been renamed to lr_scale"),
    ],
)
def test_a_trial_that_hsc_train_would_refuse_is_refused_before_it_starts(monkeypatch, key, said):
    monkeypatch.chdir(ROOT)
    content = yaml.safe_load((ROOT / "sweeps/smoke.yaml").read_text())
    content["parameters"][key] = {"value": 1}
    with pytest.raises(HscError, match=said):
        preview(parse_sweep(content, "smoke"), Settings())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"method": "hill"}, "sweep: method: must be grid, random or bayes"),
        ({"metric": None}, "what to improve"),
        ({"metric": {"name": "val/loss", "goal": "up"}}, "metric.goal"),
        ({"metric": {"name": "train/objective"}}, "train/objective is not logged by validation"),
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
        ({"command": "hsc train"}, "command: must be a list, such as"),
        ({"run_cap": 0}, "run_cap"),
        ({"early_terminate": {"type": "hyperband"}}, "min_iter"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 1}}, "eta"),
        ({"early_terminate": {"type": "hyperband", "max_iter": 2, "s": 1, "eta": 3}}, "leaves no value"),
        ({"paramters": {}}, "sweep: unknown key 'paramters', did you mean 'parameters'"),
        ({"parameters": {"x": {"values": [1, 2], "probabilities": 0.5}}}, "parameters.x: probabilities: give each"),
        ({"parameters": {"x": {"values": [1, 2], "probabilities": ["a", "b"]}}}, "parameters.x: probabilities: give"),
        ({"parameters": {1: {"value": 1}, "x": 2}}, "parameters.x: write"),
        ({"parameters": {"x": {"value": 1, 2: 3}}}, "parameters.x: constant does not take 2"),
        ({"parameters": {"x": {"parameters": [1]}}}, "parameters.x: must be a mapping"),
        ({"parameters": {"x": {"value": datetime.date(2026, 1, 1)}}}, "parameters.x: value: put dates"),
        ({"parameters": {"x": {"min": 10**400, "max": 1}}}, "parameters.x: min"),
        ({"parameters": {"x": {"distribution": "log_uniform", "min": 0, "max": 1000}}}, "log_uniform_values"),
        ({"parameters": {"x": {"distribution": "int_uniform", "min": 0.5, "max": 3}}}, "x: int_uniform needs whole"),
        ({"method": "grid", "parameters": {"x": {"min": 0, "max": 10**12}}}, "a grid of more than"),
        ({"program": ["a"]}, "program: must be text"),
        ({"metric": {"name": "val/loss", "target": 3}}, r"unknown key 'metric.target' \(known: name, goal\)"),
        ({"metric": {"name": "val/loss", 1: 2}}, r"sweep: metric\[1\]: must be text"),
        ({"early_terminate": {"type": "hyperband", "eto": 3}}, "unknown key 'early_terminate.eto', did you mean"),
        ({"early_terminate": {"type": "hyperband", "min_iter": True}}, "early_terminate.min_iter: must be a whole"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 1, "eta": math.nan}}, "early_terminate.eta"),
    ],
)
def test_a_mistake_is_named(change, said):
    with pytest.raises(HscError, match=said):
        parse_sweep(VALID | change, "x")


def test_a_search_without_end_needs_a_count():
    with pytest.raises(HscError, match="run_cap"):
        preview(parse_sweep(VALID, "x"), Settings())
    assert len(preview(parse_sweep(VALID, "x"), Settings(count=3))) == 4


yaml_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=5),
        st.dates(),
        st.sampled_from([*DISTRIBUTIONS, "grid", "random", "bayes", 10**400]),
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "name", "goal", "min", "max", "values", "value", "x", "eta", "mu", "q", "parameters",
                 "distribution", "probabilities", "min_iter", "s", 1, None, True]
            ),
            inner,
        )
    ),
    max_leaves=8,
)  # fmt: skip


@given(yaml_values, st.sampled_from([field.name for field in fields(Sweep)]), st.sampled_from(["grid", "random"]))
def test_nothing_but_a_sweep_or_a_clear_error_comes_of_a_file(content, key, method):
    with contextlib.suppress(HscError):
        preview(parse_sweep(VALID | {"method": method} | {key: content}, "x"), Settings(count=2))


@given(yaml_values)
def test_nothing_but_a_parameter_or_a_clear_error_comes_of_its_settings(content):
    with contextlib.suppress(HscError):
        preview(parse_sweep(VALID | {"parameters": {"x": content}}, "x"), Settings(count=2))


@pytest.mark.parametrize(
    "text", ["parameters: &a {x: *a}", "a: 2026-13-45", "? [1]\n: 2", "a: !!python/name:os.system"]
)
def test_a_file_that_yaml_cannot_make_sense_of_is_one_line(tmp_path, text):
    (tmp_path / "sweep.yaml").write_text(f"method: random\nprogram: x\nmetric: {{name: val/loss}}\n{text}\n")
    with pytest.raises(HscError) as caught:
        read_sweep(tmp_path / "sweep.yaml")
    assert "\n" not in str(caught.value)


TINY = "{name: x, defaults: {data: {path: p}, losses: {enhanced: {l2: 1}}}, stages: {a: {}}, run: [a]}"


def with_macro(macro, parameters):
    return VALID | {"method": "grid", "parameters": parameters, "command": ["hsc", "train", "tiny.yaml", macro]}


def test_arguments_may_come_in_a_json_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY)
    parameters = {"stages.a.steps": {"values": [5]}, "defaults": {"parameters": {"batch_size": {"values": [2, 4]}}}}
    sweep = parse_sweep(with_macro("${args_json_file}", parameters), "x")
    assert preview(sweep, Settings())[0] == "hsc train tiny.yaml arguments.json"
    words = command(sweep, {"defaults.batch_size": 4, "stages.a.steps": 5}, tmp_path)
    config = experiment(words)
    assert (config.stages["a"].batch_size, config.stages["a"].steps) == (4, 5)
    with pytest.raises(HscError, match=r"defaults\.batch_size: must be from 1"):
        preview(
            parse_sweep(with_macro("${args_json_file}", {"defaults.batch_size": {"values": [2, 0]}}), "x"), Settings()
        )


def test_macros_that_hsc_train_would_misread_are_refused():
    flips = {"defaults": {"parameters": {"data": {"parameters": {"flips": {"values": [True, False]}}}}}}
    with pytest.raises(HscError, match=r"parameters\.defaults\.data\.flips: .*leaves out what is false"):
        parse_sweep(with_macro("${args_no_boolean_flags}", flips), "x")
    parse_sweep(with_macro("${args_no_boolean_flags}", {"seed": {"values": [1, 2]}}), "x")
    with pytest.raises(HscError, match="hsc train does not support"):
        parse_sweep(with_macro("${args_no_equals}", flips), "x")


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


def test_which_sets_train_may_be_swept_over(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    content = yaml.safe_load((ROOT / "sweeps/smoke.yaml").read_text())
    choices = ["ffhq128.zip", ["ffhq128.zip", "celeba128.zip"]]
    sweep = parse_sweep(content | {"parameters": {"defaults.data.path": {"values": choices}}}, "x")
    for paths in choices:
        config = experiment(command(sweep, {"defaults.data.path": paths}, tmp_path))
        assert config.defaults.data.path == paths


def test_nested_keys_reach_the_command_as_an_agent_passes_them(tmp_path):
    content = {
        "method": "grid",
        "metric": {"name": "val/loss"},
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
    assert command(sweep, values, tmp_path) == [
        "run", "--a={'x': True, 'y': [1, 2]}", "--b.c=1e-05", "a={'x': True, 'y': [1, 2]}", "b.c=1e-05", "--",
        '{"a": {"x": true, "y": [1, 2]}, "b.c": 1e-05}',
    ]  # fmt: skip
    with pytest.raises(HscError, match="arguments"):
        command(parse_sweep(content | {"command": ["run", "${arguments}"]}, "x"), values, tmp_path)
