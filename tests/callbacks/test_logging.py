"""All callbacks together on a small codec: every documented metric is logged for every layer by every logger."""

import csv
import importlib.metadata
import json
import math
from pathlib import Path

import pytest
import pytorch_lightning as pl
from codec_double import LAYERS, SIZE, BlurCodec, Corners, Distance, Projection, loader
from pytorch_lightning.loggers import CSVLogger, WandbLogger
from wandb_run import WandbRun, read_wandb_run

from hsc.callbacks import (
    BestValueCallback,
    BppCallback,
    FIDCallback,
    IdentityAccuracyCallback,
    LandmarkErrorCallback,
    PerceptualCallback,
    ProvenanceCallback,
    SampleGridCallback,
    SymbolStatisticsCallback,
    WandbTableCallback,
)

NAMES = [
    "bytes",
    "bpp",
    "bpp_estimated",
    "bpp_layer",
    "lpips",
    "lpips_vgg",
    "psnr",
    "my.judges:Likeness",
    "identity_accuracy",
    "identity_distance",
    "landmark_nme",
    "detection_rate",
    "frechet_projection",
    "kid_projection",
    "zero_symbols",
]
IMAGES = 504


def callbacks() -> list[pl.Callback]:
    return [
        BppCallback(),
        PerceptualCallback(
            {"lpips": Distance(), "lpips_vgg": Distance(), "psnr": Distance(), "my.judges:Likeness": Distance()}
        ),
        IdentityAccuracyCallback(Projection()),
        LandmarkErrorCallback(Corners()),
        FIDCallback(Projection()),
        SampleGridCallback(count=3),
        SymbolStatisticsCallback(),
        WandbTableCallback(count=5),
        BestValueCallback("val/basic/psnr"),
        ProvenanceCallback("seed: 7\nmodel:\n  rows: 6\n"),
    ]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory, trainer) -> Path:
    """Two epochs of training with two validations, logged to CSV and to W&B."""
    folder = tmp_path_factory.mktemp("run")
    wandb_logger = WandbLogger(save_dir=folder, project="test")
    loggers = [CSVLogger(folder, name="csv", version=""), wandb_logger]
    fit = trainer(folder, max_epochs=2, logger=loggers, callbacks=callbacks(), limit_train_batches=2)
    fit.fit(BlurCodec(), loader(IMAGES), loader(IMAGES))
    wandb_logger.experiment.finish()
    return folder


@pytest.fixture(scope="module")
def rows(run_folder: Path) -> list[dict[str, str]]:
    with open(run_folder / "csv" / "metrics.csv") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def wandb_run(run_folder: Path) -> WandbRun:
    return read_wandb_run(run_folder)


def test_csv_and_wandb_hold_every_promised_name_of_every_layer_at_each_validation(rows, wandb_run):
    logged = [row for row in wandb_run.history if "val/basic/bpp" in row]
    assert [float(row["samples_seen"]) for row in rows] == [row["samples_seen"] for row in logged] == [144, 288]
    for in_csv, in_wandb in zip(rows, logged, strict=True):
        for name in (f"val/{layer}/{name}" for layer in LAYERS for name in NAMES):
            assert math.isfinite(in_wandb[name]), name
            assert in_wandb[name] == pytest.approx(float(in_csv[name]), rel=1e-12), name


def test_rates_are_those_of_the_files(rows):
    lengths = [10 + index % 7 for index in range(IMAGES)]
    mean = 8 * sum(lengths) / IMAGES / SIZE**2
    assert float(rows[0]["val/enhanced/bpp"]) == pytest.approx(3 * mean, rel=1e-12)
    assert float(rows[0]["val/enhanced/bytes"]) == pytest.approx(3 * sum(lengths) / IMAGES, rel=1e-12)
    assert float(rows[0]["val/enhanced/bpp_layer"]) == pytest.approx(mean, rel=1e-12)
    assert float(rows[0]["val/enhanced/bpp_estimated"]) == pytest.approx(3 * mean - 20 / SIZE**2, rel=1e-12)
    assert float(rows[0]["val/row_bits/05"]) == (IMAGES - 1) / 2 + 5


def test_finer_layers_are_nearer(rows):
    for name in ("lpips", "landmark_nme", "identity_distance", "frechet_projection"):
        values = [float(rows[0][f"val/{layer}/{name}"]) for layer in LAYERS]
        assert values == sorted(values, reverse=True), name


def test_wandb_plots_against_samples_seen(wandb_run):
    assert wandb_run.axes["val/*"] == "samples_seen"
    assert wandb_run.axes["val/basic/lpips"] == "samples_seen"


def test_wandb_summary_is_the_best_validation(wandb_run):
    """The best validation by the monitored metric; all values come from it, even if some were better at another one."""
    validations = [row for row in wandb_run.history if "val/basic/psnr" in row]
    # The test codec logs a distance as psnr. It falls with the blur, so the first validation is the best.
    assert validations[0]["val/basic/psnr"] > validations[1]["val/basic/psnr"]
    assert validations[0]["val/basic/lpips"] > validations[1]["val/basic/lpips"]
    for name in [f"val/{layer}/{name}" for layer in LAYERS for name in NAMES]:
        assert wandb_run.summary[name] == validations[0][name], name


def test_wandb_shows_pictures_and_histograms(wandb_run, run_folder):
    pictures = [row["val/samples/path"] for row in wandb_run.history if "val/samples/path" in row]
    assert len(pictures) == 2
    assert all(list(run_folder.glob(f"wandb/*/files/{path}")) for path in pictures)
    histograms = [row for row in wandb_run.history if "val/basic/symbols/values" in row]
    assert len(histograms) == 2
    assert sum(histograms[0]["val/basic/symbols/values"]) == IMAGES * 8


def wandb_tables(wandb_run: WandbRun, run_folder: Path, name: str) -> list[dict]:
    """The tables with this name, one per validation, each with columns and rows."""
    paths = [row[f"{name}/path"] for row in wandb_run.history if f"{name}/path" in row]
    return [
        json.loads(file.read_text()) for path in paths for file in run_folder.glob(f"wandb/offline-run-*/files/{path}")
    ]


def test_wandb_lists_single_images(wandb_run, run_folder):
    tables = wandb_tables(wandb_run, run_folder, "val/per_image")
    assert len(tables) == 2
    columns = tables[0]["columns"]
    assert {"bpp", "lpips", "psnr", "identity_distance", "landmark_nme", "detection_rate"} <= set(columns)
    assert len(tables[0]["data"]) == 5 * len(LAYERS)
    for number, row in enumerate(tables[0]["data"]):
        assert row[:2] == [f"{number // len(LAYERS):05d}.jpg", LAYERS[number % len(LAYERS)]]
        lengths = (10 + number // len(LAYERS) % 7) * (number % len(LAYERS) + 1)
        assert row[columns.index("bpp")] == 8 * lengths / SIZE**2
        assert all(math.isfinite(value) for value in row[2:])


@pytest.mark.parametrize(
    ("name", "column", "title"),
    [
        ("lpips", "lpips", "LPIPS (AlexNet)"),
        ("psnr", "psnr", "PSNR (dB)"),
        ("landmark_nme", "landmark_nme", "Landmark error (NME)"),  # logged as a fraction, not as a percentage
        ("my.judges:Likeness", "my_judges:Likeness", "distance"),
        ("zero_symbols", "zero_symbols", "zero symbols"),
    ],
)
def test_wandb_draws_rate_distortion_curves(wandb_run, run_folder, rows, name, column, title):
    tables = wandb_tables(wandb_run, run_folder, f"val/rate_distortion/{name}_table")
    assert len(tables) == 2
    assert tables[0]["columns"] == ["layer", "bpp", column]
    for layer, bpp, value in tables[0]["data"]:
        assert bpp == pytest.approx(float(rows[0][f"val/{layer}/bpp"]), rel=1e-6)
        assert value == pytest.approx(float(rows[0][f"val/{layer}/{name}"]), rel=1e-6)
    assert [row[0] for row in tables[0]["data"]] == list(LAYERS)
    panel = wandb_run.config[f"_wandb/visualize/val/rate_distortion/{name}"]["panel_config"]
    assert panel["fieldSettings"]["y"] == column
    assert panel["stringSettings"]["title"] == f"{title} over bits per pixel"


def test_wandb_config_tells_judges_gallery_and_code(wandb_run):
    config = wandb_run.config
    assert config["judge_of_identity"] == "projection"
    assert config["judge_of_lpips"] == "distance"
    assert config["gallery_size"] == IMAGES
    assert config["model"] == {"rows": 6}
    assert config["provenance"]["packages"]["torch"] == importlib.metadata.version("torch")


@pytest.mark.parametrize("manual", [False, True])
def test_without_logger_values_can_be_monitored(tmp_path, trainer, manual):
    fit = trainer(tmp_path, max_epochs=1, logger=False, callbacks=callbacks(), limit_train_batches=1)
    fit.fit(BlurCodec(manual), loader(IMAGES), loader(IMAGES))
    assert {f"val/{layer}/{name}" for layer in LAYERS for name in NAMES} <= fit.callback_metrics.keys()


def test_test_stage_logs_under_test(tmp_path, trainer):
    run = trainer(tmp_path, logger=False, callbacks=callbacks())
    (values,) = run.test(BlurCodec(), loader(IMAGES), verbose=False)
    assert {f"test/{layer}/{name}" for layer in LAYERS for name in NAMES} <= values.keys()
    assert not any(name.startswith("val/") for name in values)
