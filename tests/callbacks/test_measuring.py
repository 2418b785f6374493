"""Measuring callbacks with missing judges, small data sets and custom judges."""

import warnings

import pytest
import pytorch_lightning as pl
import torch
from codec_double import LAYERS, BlurCodec, Corners, Distance, Pictures, Projection, loader
from PIL import Image

from hsc.callbacks import (
    BestValueCallback,
    BppCallback,
    FIDCallback,
    GeneratedFacesCallback,
    IdentityAccuracyCallback,
    LandmarkErrorCallback,
    PerceptualCallback,
    SampleGridCallback,
    SymbolStatisticsCallback,
)
from hsc.errors import HscError
from hsc.metrics.info import distance_names
from hsc.validation_output import CodecOutput


@pytest.fixture
def validate(tmp_path, trainer):
    """validate(module, callbacks, images=20, times=1, data) → values by name, warnings about unavailable metrics."""

    def run(module, callbacks, images=20, times=1, data=None):
        runner = trainer(tmp_path, logger=False, callbacks=callbacks)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(times):
                (values,) = runner.validate(module, data or loader(images), verbose=False)
        return values, [str(warning.message) for warning in caught if "available" in str(warning.message)]

    return run


class Unquantised(BlurCodec):
    """A stage that decodes images without producing files."""

    def validation_step(self, batch, index):
        output = super().validation_step(batch, index)
        unknown = torch.full((len(output.names),), torch.nan)
        layers = {"enhanced": output.layers["enhanced"]._replace(bits_estimated=unknown, file_bytes=unknown)}
        return CodecOutput(output.originals, output.names, layers, {}, torch.empty(len(output.names), 0))


class TrainedOn499(pl.LightningDataModule):
    """Data of a prior trained on only 499 faces."""

    def dataset(self, split):
        return Pictures(499)

    def val_dataloader(self):
        return loader(20)


@pytest.mark.parametrize(
    ("callback", "measure"),
    [
        (IdentityAccuracyCallback("insightface:/nowhere"), "identity"),
        (LandmarkErrorCallback("insightface106:/nowhere"), "landmarks"),
    ],
)
def test_a_missing_judge_is_named_once_and_its_metric_absent(validate, callback, measure):
    values, messages = validate(BlurCodec(), [BppCallback(), callback], times=2)
    assert len(messages) == 1
    assert messages[0].startswith(f"{measure}: ")
    assert "not available: put" in messages[0]
    assert values.keys() == {
        f"val/{layer}/{name}" for layer in LAYERS for name in BppCallback().new_metric().columns
    } | {"samples_seen"}


def test_other_perceptual_judges_go_on_without_the_missing_one(validate, monkeypatch, tmp_path):
    monkeypatch.setenv("HSC_CACHE", str(tmp_path))
    missing = {"lpips": Distance(), "identity": "insightface:/nowhere"}
    values, messages = validate(BlurCodec(), [PerceptualCallback(missing)])
    assert len(messages) == 1
    assert values.keys() == {f"val/{layer}/lpips" for layer in LAYERS} | {"samples_seen"}


def test_an_unknown_judge_is_an_error(validate):
    with pytest.raises(HscError, match="unknown judge 'dlip'"):
        validate(BlurCodec(), [IdentityAccuracyCallback("dlip")])


def test_few_images_have_no_distribution(validate):
    values, messages = validate(BlurCodec(), [FIDCallback(Projection())], images=499, times=2)
    assert messages == [
        "frechet_projection and kid_projection not available: "
        "needs at least 500 images, not 499: give it a larger data set"
    ]
    assert values == {}


def test_no_faces_are_generated_where_few_trained(validate):
    """A prior trained on 499 faces gets no set distances, and no faces are generated for them."""
    judge = Projection()
    values, messages = validate(BlurCodec(), [GeneratedFacesCallback(judge, faces=500)], times=2, data=TrainedOn499())
    assert messages == [
        "frechet_projection and kid_projection not available: "
        "needs at least 500 images, not 499: give it a larger data set"
    ]
    assert values == {}
    assert judge.asked == 1, "the grey picture that tells how many features there are"


def test_distribution_comes_with_its_floor(validate):
    values, _ = validate(BlurCodec(), [FIDCallback(Projection())], images=600)
    assert 0 < values["val/originals/frechet_projection"] < values["val/basic/frechet_projection"]


def test_names_of_the_distribution_distances():
    inception = Projection()
    inception.family = "inception"
    assert distance_names(inception) == ("fid", "kid")
    assert distance_names(Projection())[0].startswith("frechet_")


def test_originals_are_judged_once(validate):
    judge = Projection()
    validate(BlurCodec(), [IdentityAccuracyCallback(judge)], images=20, times=3)
    assert judge.asked == 20 + 3 * 3 * 20


def test_a_stage_without_files_has_no_rate_and_no_symbols(validate):
    callbacks = [BppCallback(), SymbolStatisticsCallback(), PerceptualCallback({"lpips": Distance()})]
    values, _ = validate(Unquantised(), callbacks)
    assert values.keys() == {"val/enhanced/lpips", "samples_seen"}


def test_two_of_a_kind_are_refused_because_their_values_would_be_averaged(validate):
    with pytest.raises(HscError, match="two callbacks measure identity"):
        validate(BlurCodec(), [IdentityAccuracyCallback(Projection()), IdentityAccuracyCallback(Projection(4))])


def test_other_outputs_are_refused(validate):
    class Other(BlurCodec):
        def validation_step(self, batch, index):
            return {"images": batch["image"]}

    with pytest.raises(
        HscError, match=r"Other: validation_step and test_step must return a hsc.validation_output.CodecOutput"
    ):
        validate(Other(), [BppCallback()])


def test_what_is_kept_is_small(validate):
    callbacks = [BppCallback(), PerceptualCallback({"lpips": Distance()}), IdentityAccuracyCallback(Projection())]
    callbacks += [LandmarkErrorCallback(Corners()), FIDCallback(Projection()), SymbolStatisticsCallback()]
    validate(BlurCodec(), callbacks, images=300)
    kept = sum(
        tensor.numel()
        for callback in callbacks
        for metric in callback.metrics.values()
        for tensor in [*metric.keys, *metric.values]
    )
    assert kept < 300 * 3 * 120  # values per image and layer; an image has 768
    assert not any(callback.measure._of_originals for callback in callbacks if getattr(callback, "measure", None))


def test_samples_of_a_generator_are_shown(tmp_path, trainer):
    class SamplingCodec(BlurCodec):
        def generated_samples(self, count):
            return torch.linspace(-1, 1, count)[:, None, None, None].expand(count, 3, 8, 8)

    runner = trainer(tmp_path, logger=False, callbacks=[SampleGridCallback(count=4)])
    runner.validate(SamplingCodec(), loader(3), verbose=False)
    assert Image.open(tmp_path / "generated" / "0000000000.png").size == (32, 8)
    assert Image.open(tmp_path / "samples" / "0000000000.png").size == (4 * 16, 3 * 16 + 14)


def test_a_judge_of_ones_own_says_which_way_is_better(tmp_path, trainer):
    class Alike(Distance):
        name, higher_is_better = "alike", True

    best = {}
    for judge in (Alike(), Distance()):
        own = BestValueCallback("val/basic/mine")
        runner = trainer(tmp_path, logger=False, max_epochs=2, callbacks=[PerceptualCallback({"mine": judge}), own])
        runner.fit(BlurCodec(), loader(8), loader(8))
        best[judge.name] = own.best["val/basic/mine"]
    # The test codec's blur shrinks from one validation to the next, and so does the distance.
    assert best["alike"] > best["distance"]


def test_best_values_survive_resuming(tmp_path, trainer):
    first = BestValueCallback("val/basic/psnr")
    runner = trainer(tmp_path, logger=False, max_epochs=1, callbacks=[PerceptualCallback({"psnr": Distance()}), first])
    runner.fit(BlurCodec(), loader(8), loader(8))
    runner.save_checkpoint(tmp_path / "last.ckpt")
    second = BestValueCallback("val/basic/psnr")
    runner = trainer(tmp_path, logger=False, max_epochs=2, callbacks=[PerceptualCallback({"psnr": Distance()}), second])
    runner.fit(BlurCodec(), loader(8), loader(8), ckpt_path=tmp_path / "last.ckpt")
    # The test codec's blur shrinks, and so does the distance that is logged as psnr.
    assert runner.callback_metrics["val/basic/psnr"] < first.best["val/basic/psnr"]
    assert second.best == first.best
