"""Search: choice of the next trial, early stopping, and importance of parameters."""

import numpy as np
from test_sweep_files import VALID

from hsc.sweeps.importance import correlation, explained
from hsc.sweeps.results import Result
from hsc.sweeps.search import propose, to_stop
from hsc.sweeps.sweep_file import parse_sweep
from hsc.sweeps.trials import Trial


def known_of(histories, state="running") -> list[Result]:
    return [Result(Trial(number, {}, state=state), losses=history) for number, history in enumerate(histories)]


def hyperband(**settings):
    found = parse_sweep(VALID | {"early_terminate": {"type": "hyperband", **settings}}, "x").early_terminate
    assert found is not None
    return found


def test_a_grid_has_every_point_once_and_an_end():
    content = VALID | {"method": "grid", "parameters": {"a": {"values": [1, 2]}, "b": {"min": 0, "max": 2}}}
    sweep, known = parse_sweep(content, "x"), []
    while (values := propose(sweep, known)) is not None:
        known.append(Result(Trial(len(known), values)))
    points = [(one.trial.values["a"], one.trial.values["b"]) for one in known]
    assert points == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]


def test_a_random_search_can_be_repeated_and_goes_on_as_if_never_interrupted():
    sweep = parse_sweep(VALID, "x")
    drawn = [propose(sweep, known_of([[]] * count)) for count in range(4)]
    assert drawn == [propose(sweep, known_of([[1.0]] * count)) for count in range(4)]
    assert len({values["x"] for values in drawn}) == 4


def test_bands():
    assert hyperband(min_iter=3, eta=2).bands[:4] == (3, 6, 12, 24)
    assert hyperband(max_iter=27, s=2, eta=3).bands == (3, 9)


def test_hyperband_keeps_the_best_share_and_spares_who_was_good_before():
    histories = [[1.0, 1.0], [2.0, 2.0], [0.5, 3.0], [4.0]]
    strict = to_stop(hyperband(min_iter=2, eta=3), known_of(histories))
    assert [trial.number for trial in strict] == [2]
    assert to_stop(hyperband(min_iter=2, eta=3, strict=False), known_of(histories)) == []
    assert to_stop(hyperband(min_iter=2, eta=3), known_of(histories, "finished")) == []


def test_importance_finds_what_matters():
    draw = np.random.default_rng(0)
    mattering, idle = draw.random(200), draw.random(200)
    kinds = draw.choice(["a", "b"], 200)
    losses = 2 * mattering + (kinds == "a") + 0.01 * draw.random(200)
    assert explained(mattering.tolist(), losses) > 0.4
    assert explained(kinds.tolist(), losses) > 0.3
    assert explained(idle.tolist(), losses) < 0.05
    assert correlation(mattering.tolist(), losses) > 0.7
    assert abs(correlation(idle.tolist(), losses)) < 0.15
    assert correlation(kinds.tolist(), losses) is None
    assert explained([1, 2, 3], np.array([1.0, 2.0, 3.0])) is None  # every value is its own group
