"""Two processes measure the same values as one."""

import json
from pathlib import Path

import pytest
from programs import run_program

EXACT = {"bpp", "bpp_layer", "bpp_estimated", "identity_accuracy", "detection_rate", "zero_symbols"}
# Lightning's sampler pads: it repeats one of the 101 images.
CASES = ("101:padded", "505:shard")


@pytest.fixture(scope="module")
def measured() -> dict[str, tuple[dict[str, float], dict[str, float]]]:
    """For each case, the values by name from one process and from two."""
    said = run_program(Path(__file__).with_name("two_processes.py"), *CASES)
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    return dict(zip(CASES, zip(lines[::2], lines[1::2], strict=True), strict=True))


@pytest.mark.parametrize("case", CASES)
def test_two_processes_equal_one(measured, case):
    one, two = measured[case]
    assert one.keys() == two.keys()
    assert {"val/basic/bpp", "val/middle/identity_accuracy", "val/enhanced/landmark_nme"} <= one.keys()
    assert ("val/basic/frechet_projection" in one) == case.startswith("505")
    for name, value in one.items():
        if name.rpartition("/")[2] in EXACT or "row_bits" in name:
            assert two[name] == value, name
        else:
            assert two[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name


def test_the_measures_say_something(measured):
    values, _ = measured["505:shard"]
    assert 0 < values["val/basic/identity_accuracy"] < 1
    assert 0 < values["val/basic/detection_rate"] < 1
