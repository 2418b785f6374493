"""A process without images takes part in every reduction."""

import json
from pathlib import Path

from programs import run_program


def test_a_process_without_images_changes_nothing():
    program = Path(__file__).with_name("uneven_processes.py")
    alone, first, second = map(json.loads, run_program(program).splitlines())
    assert alone == first == second
    assert alone["features"][-2:] == [3, 3]
