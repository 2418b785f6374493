"""Training runs, sweeps and W&B's offline runs as curves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hsc.checkpoints import weights_file
from hsc.errors import HscError
from hsc.evaluation.bdrate import on_front
from hsc.evaluation.compare import compare, read_curves, warnings_about
from hsc.evaluation.comparison_tables import front_table
from hsc.evaluation.runs import read_runs
from hsc.evaluation.wandb_file import last_values
from hsc.metrics.info import MetricInfo, quality_info
from hsc.metrics.own import as_in_results, write_own_metrics


def write_run(folder: Path, bpp: float, psnr: float, stages: tuple[str, ...] = ("prior", "joint")) -> Path:
    """A run folder as `hsc train` writes it: the config, and one done.json per stage with its last validation."""
    for stage in stages:
        (folder / stage).mkdir(parents=True)
        (folder / stage / "key.json").write_text('{"key": "0"}')
        metrics = {"val/basic/psnr": 1.0} if stage == "prior" else {}
        if stage == "joint":
            for place, layer in enumerate(("basic", "middle")):
                values = {"bpp": bpp * (place + 1), "psnr": psnr + place, "zero_symbols": 0.5}
                metrics |= {f"val/{layer}/{name}": value for name, value in values.items()}
        (folder / stage / "done.json").write_text(json.dumps({"key": "0", "samples_seen": 1, "metrics": metrics}))
    (folder / "config.yaml").write_text("name: mine\nrun: [prior, joint]\nstages: {prior: {}, joint: {}}\n")
    (folder / "done.json").write_text('{"stages": ["prior", "joint"]}')
    return folder


def test_a_run_is_a_point_a_layer(tmp_path):
    basic, middle = read_curves(write_run(tmp_path / "mine", 0.02, 18))
    assert (basic.name, middle.name, middle.layer) == ("mine basic", "mine middle", "middle")
    assert {name: values.tolist() for name, values in middle.values.items()} == {"bpp": [0.04], "psnr": [19]}
    assert not middle.labels


def test_metrics_that_trained_a_run_are_marked_once_its_codec_says_so(tmp_path):
    folder = write_run(tmp_path / "mine", 0.02, 18)
    (before, _), warning = read_curves(folder), "metrics that trained the codec are not marked before the run has ended"
    assert before.trained_on == []
    assert warnings_about([before]) == [f"mine basic: last validation of a training run; {warning}"]
    # MS-SSIM was a loss, and PSNR belongs to the same family.
    weights_file.save(folder / "codec.safetensors", {"some": torch.zeros(1)}, "codec", {}, {"judges": ["ms_ssim"]})
    after, _ = read_curves(folder)
    assert after.trained_on == ["psnr"]
    assert warnings_about([after]) == ["mine basic: last validation of a training run"]


OWN = {"my_judges:Likeness": MetricInfo("my_judges:Likeness", "likeness", True, judge="likeness", family="mine")}


def write_run_with_own_judge(folder: Path, values: tuple[float, float] = (0.4, 0.7)) -> Path:
    """A run whose validation also used a judge of the user's own."""
    done = write_run(folder, 0.02, 18) / "joint" / "done.json"
    content = json.loads(done.read_text())
    for layer, value in zip(("basic", "middle"), values, strict=True):
        content["metrics"][f"val/{layer}/my_judges:Likeness"] = value
    done.write_text(json.dumps(content))
    write_own_metrics(folder / "joint", OWN)
    return folder


def test_a_judge_of_the_users_own_is_compared_by_its_own_direction_without_its_code(tmp_path):
    folder = write_run_with_own_judge(tmp_path / "mine")
    basic, middle = read_curves(folder)
    info = basic.info("likeness")  # the name that hsc evaluate uses
    assert (info.title, info.higher_is_better) == ("likeness ↑", True)
    assert [curve.values["likeness"].tolist() for curve in (basic, middle)] == [[0.4], [0.7]]
    worse = write_run_with_own_judge(tmp_path / "worse", (0.1, 0.2))
    page = compare([folder, worse], tmp_path / "out")
    assert (page.parent / "likeness.svg").is_file()
    assert "likeness ↑" in page.read_text()
    row = next(
        line for line in (page.parent / "tables.md").read_text().splitlines() if line.startswith("| mine middle")
    )
    assert "**0.700**" in row


def test_own_metrics_that_trained_a_run_are_marked_by_what_its_card_says(tmp_path):
    folder = write_run_with_own_judge(tmp_path / "mine")
    card = {"judges": ["my_losses:Other"], "judge_families": ["mine"]}
    weights_file.save(folder / "codec.safetensors", {"some": torch.zeros(1)}, "codec", {}, card)
    basic, _ = read_curves(folder)
    assert basic.trained_on == ["likeness"]


def test_own_metrics_are_dropped_where_nothing_says_which_way_is_better(tmp_path):
    folder = write_run_with_own_judge(tmp_path / "mine")
    (folder / "joint" / "log" / "own_metrics.json").write_text('{"my_judges:Likeness": {"label": 3}}')
    basic, _ = read_curves(folder)
    assert basic.metrics == ["psnr"]


@pytest.mark.parametrize("name", ["lpips", "other"])
def test_a_name_that_is_taken_stays_as_it_was_logged(name):
    infos = {"m:A": MetricInfo("m:A", name, judge=name), "m:B": MetricInfo("m:B", name, judge=name)}
    names = [info.name for info in as_in_results(infos).values()]
    assert names == (["m:A", "m:B"] if name == "lpips" else ["other", "m:B"])


@pytest.mark.parametrize("where", ["", "trials"])
def test_a_sweep_is_a_cloud_with_a_front(tmp_path, where, undrawn):
    sweep = tmp_path / "lambdas"
    for name, bpp, psnr in (("a", 0.01, 15), ("b", 0.02, 14), ("c", 0.03, 17), ("d", 0.04, 17)):
        write_run(sweep / where / name, bpp, psnr)
    write_run(sweep / where / "unfinished", 0.01, 99, stages=("prior",))
    (sweep / "best").symlink_to(sweep / where / "c")
    curves = read_curves(sweep)
    assert [curve.name for curve in curves] == ["lambdas basic", "lambdas middle"]
    assert curves[0].labels == ["a", "b", "c", "d"]
    table = front_table(curves[0], ["psnr"])
    assert [[str(cell) for cell in row] for row in table.rows] == [["a", "0.0100", "15.00★"], ["c", "0.0300", "17.00★"]]

    page = compare([sweep], tmp_path / "out")
    assert "Pareto front of lambdas middle" in page.read_text()
    assert "last validation of a training run" in page.read_text()
    assert "$\\star$" in (tmp_path / "out" / "tables.tex").read_text()


def test_runs_that_have_measured_no_file_yet_are_refused(tmp_path):
    with pytest.raises(HscError, match="holds no results"):
        read_curves(tmp_path)
    write_run(tmp_path / "sweep" / "a", 0.1, 1, stages=("prior",))
    with pytest.raises(HscError, match="no run has come to the end of a stage that writes files"):
        read_curves(tmp_path / "sweep")


@given(st.lists(st.tuples(st.floats(0.01, 1), st.floats(0, 40)), min_size=1, max_size=20))
def test_the_front_is_what_nothing_else_beats(points):
    rates, values = map(np.array, zip(*points, strict=True))
    for place, kept in enumerate(on_front(quality_info("psnr"), rates, values)):
        beaten = ((rates <= rates[place]) & (values > values[place])) | (
            (rates < rates[place]) & (values == values[place])
        )
        assert kept == (not beaten.any())


PROGRAM = """
import sys, wandb
with wandb.init(project="p", name="night", mode="offline", dir=sys.argv[1]) as run:
    for step in range(300):
        run.log({"train/loss": 1.0 / (step + 1), "note": "x" * 200})
        if step % 100 == 99:
            run.log({"val/basic/bpp": 0.1 - step / 10000, "val/basic/psnr": 10 + step, "val/basic/lpips": 0.5})
"""


@pytest.mark.slow
def test_an_offline_wandb_run_is_read_even_torn(tmp_path):
    quiet = os.environ | {"WANDB_SILENT": "true"}
    subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], check=True, env=quiet, capture_output=True)
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    (curve,) = read_curves(folder)
    assert (curve.name, curve.layer) == ("night basic", "basic")
    assert curve.values["bpp"] == pytest.approx([0.1 - 299 / 10000])
    assert curve.values["psnr"] == pytest.approx([309])
    assert [one.name for one in read_runs(tmp_path / "wandb")] == ["wandb basic"]

    (file,) = folder.glob("*.wandb")
    content = file.read_bytes()
    assert len(content) > 2 * 32768, "records cross blocks"
    file.write_bytes(content[: len(content) * 3 // 4])
    assert last_values(file)[1]["val/basic/psnr"] == 209
    file.write_bytes(b"something else")
    with pytest.raises(HscError, match="is not a readable W&B run"):
        read_curves(folder)
