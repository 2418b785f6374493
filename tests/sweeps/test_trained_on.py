"""On a sweep's page a metric that trained its trials carries a mark."""

import pytest
import torch

from hsc.checkpoints import weights_file
from hsc.sweeps.figures import learning_chart, rate_curves, trained_on
from hsc.sweeps.report import trials_table
from hsc.sweeps.results import Outcome, Result
from hsc.sweeps.sweep_file import parse_sweep
from hsc.sweeps.trials import SweepFolder, Trial

SWEEP = {
    "method": "grid",
    "metric": {"name": "val/all/lpips"},
    "parameters": {"x": {"values": [1, 2]}},
    "program": "train.py",
}


@pytest.mark.parametrize(("judges", "mark"), [(["lpips.alex"], "†"), (["facemesh"], "")])
def test_a_metric_that_trained_a_trial_is_marked(folder: SweepFolder, judges: list[str], mark: str) -> None:
    sweep, trial = parse_sweep(SWEEP, "toy"), Trial(0, {"x": 1}, state="finished")
    best = {"val/all/lpips": 0.25, "val/all/bpp": 0.1, "val/all/psnr": 20.0}
    results = [Result(trial, Outcome(True, [0.5, 0.25], best, images=[8, 16]), 0.25)]
    card = {"judges": judges}
    weights_file.save(folder.run(trial) / "codec.safetensors", {"some": torch.zeros(1)}, "codec", {}, card)
    trained = trained_on(folder, results)
    assert trained == ({"lpips"} if mark else set())
    table = trials_table(sweep, folder, results, trained)
    assert [cell.marked for cell in table.rows[0]][:4] == ["000", "finished", "1", f"0.25{mark}"]
    assert bool(table.notes) == bool(mark)
    assert learning_chart(sweep, results, trained).data()["metrics"][0]["trained_on"] == ([0] if mark else [])
    assert rate_curves(results, trained)[0].trained_on == (["lpips"] if mark else [])
