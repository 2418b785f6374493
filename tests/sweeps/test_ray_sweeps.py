"""A cluster of two nodes on this machine, one of which is lost in the middle of a sweep."""

import threading
import time

import pytest
from programs import run_hsc
from test_local_sweeps import attempts, best_of, states

from hsc.errors import HscError
from hsc.sweeps.launchers import room


@pytest.mark.slow
def test_a_lost_node_costs_no_trial(ray_cluster, write_sweep, folder):
    cluster, second = ray_cluster
    file = write_sweep({"x": {"values": [0.0, 0.3, 0.9]}, "steps": {"value": 30}, "slow": {"value": 0.2}})
    lost = threading.Event()

    def lose_the_second_node() -> None:
        deadline = time.monotonic() + 120
        running = [folder.path / f"trials/00{number}/only/steps" for number in (0, 1)]
        while not all(path.exists() for path in running) and time.monotonic() < deadline:
            time.sleep(0.05)
        cluster.remove_node(second, allow_graceful=False)
        lost.set()

    thread = threading.Thread(target=lose_the_second_node)
    thread.start()
    try:
        assert run_hsc("sweep", file, "--dir", folder.path, "--on", "ray", "--address", cluster.address) == 0
    finally:
        thread.join()
    assert lost.is_set()
    assert states(folder) == ["finished"] * 3
    assert best_of(file, folder) == 1
    restarted = [trial for trial in folder.load() if len(trial.attempts) > 1]
    assert len(restarted) == 1
    assert "lost" in (restarted[0].attempts[0].ended or "")
    assert int(attempts(folder, restarted[0].number)[1]) >= 1  # resumed from the lost attempt


def test_room_counts_the_scarcer_resource():
    assert room({"CPU": 16, "GPU": 2}, 2, 0.5) == 4
    assert room({"CPU": 3}, 1, 0) == 3
    with pytest.raises(HscError, match="too few"):
        room({"CPU": 8}, 1, 1)
    with pytest.raises(HscError, match="needs resources"):
        room({"CPU": 8}, 0, 0)
