"""A process without images takes part in every reduction."""

import json
import subprocess
import sys
from pathlib import Path


def test_a_process_without_images_changes_nothing():
    program = Path(__file__).with_name("uneven_processes.py")
    finished = subprocess.run([sys.executable, "-W", "ignore", program], capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stderr
    alone, first, second = map(json.loads, finished.stdout.splitlines())
    assert alone == first == second
    assert alone["features"][-2:] == [3, 4]
