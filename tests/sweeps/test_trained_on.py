"""A sweep's page marks the metrics that its trials were trained on."""

import pytest
import torch

from hsc.checkpoints import weights_file
from hsc.evaluation.page_data import chart_data
from hsc.metrics.info import MetricInfo
from hsc.metrics.own import write_own_metrics
from hsc.sweeps.figures import distortions, learning_chart, rate_curves, trained_on
from hsc.sweeps.report import trials_table
from hsc.sweeps.results import Outcome, Result, read_outcome
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
    results = [Result(trial, Outcome(True, [0.5, 0.25], best, images=[8, 16]), [0.5, 0.25])]
    card = {"judges": judges}
    weights_file.save(folder.run(trial) / "codec.safetensors", {"some": torch.zeros(1)}, "codec", {}, card)
    trained = trained_on(folder, results)
    assert trained == ({"lpips"} if mark else set())
    table = trials_table(sweep, folder, results, trained)
    assert [cell.marked for cell in table.rows[0]][:4] == ["000", "finished", "1", f"0.25{mark}"]
    assert bool(table.notes) == bool(mark)
    assert not {"pictures", "reused"} & set(table.header)  # the run has none
    assert chart_data(learning_chart(sweep, results, trained))["metrics"][0]["trained_on"] == ([0] if mark else [])
    assert rate_curves(results, trained)[0].trained_on == (["lpips"] if mark else [])


def test_a_judge_of_the_users_own_has_its_own_direction_and_mark(folder: SweepFolder) -> None:
    sweep, trial = parse_sweep(SWEEP | {"metric": {"name": "val/all/my:Own", "goal": "maximize"}}, "toy"), Trial(0, {})
    run = folder.run(trial)
    log = run / "only" / "log" / "version_0" / "metrics.csv"
    log.parent.mkdir(parents=True)
    log.write_text("step,samples_seen,val/all/my:Own,val/all/bpp\n0,8,0.5,0.2\n1,16,0.7,0.1\n")
    (run / "config.yaml").write_text("run: [only]\nmodel: {layers: {all: {}}}\n")
    info = MetricInfo("my:Own", "likeness", True, judge="likeness", family="mine")
    write_own_metrics(run / "only", {"my:Own": info})
    card = {"judges": ["my:Loss"], "judge_families": ["mine"]}
    weights_file.save(run / "codec.safetensors", {"some": torch.zeros(1)}, "codec", {}, card)
    outcome = read_outcome(run, sweep.metric)
    assert (outcome.best["val/all/my:Own"], outcome.images) == (0.7, [8, 16])
    results = [Result(trial, outcome, [-0.7])]
    assert distortions(results) == ["my:Own"]
    trained = trained_on(folder, results)
    (curve,) = rate_curves(results, trained)
    assert (curve.info("my:Own").title, curve.trained_on) == ("likeness ↑", ["my:Own"])
    assert learning_chart(sweep, results, trained).panels[0].title == "likeness ↑, up to all †"
