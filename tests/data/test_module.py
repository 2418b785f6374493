"""The DataModule under a Trainer: exact resuming, several processes, worker processes."""

import json
import logging
from itertools import islice
from pathlib import Path

import pytest
import torch
from fit_and_record import SPECS, fit
from pictures import write_pictures
from programs import run_program

from hsc.data.module import FaceDataModule, FaceDataset
from hsc.errors import HscError


@pytest.fixture
def folder(tmp_path):
    """47 images of noise, 10²."""
    return write_pictures(tmp_path / "faces", 47, 10)


@pytest.fixture(autouse=True)
def quiet_lightning():
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


def shown(log, kind, rank=0):
    lines = [json.loads(line) for line in Path(f"{log}.{rank}").read_text().splitlines()]
    return [line[1:] for line in lines if line[0] == kind]


def test_splits_sizes_and_limits(folder):
    data = FaceDataModule(str(folder), 8, batch_size=4, validation_limit=5, **SPECS)
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (4, 3, 8, 8)
    validation = list(data.val_dataloader())
    assert [name for batch in validation for name in batch["name"]] == [f"{i}.png" for i in range(30, 35)]
    assert validation[0]["image"].shape == (4, 3, 10, 10)  # their own size
    judged = FaceDataModule(str(folder), 8, judge_size=16, **SPECS)
    assert next(iter(judged.val_dataloader()))["image"].shape[-1] == 16
    assert isinstance(judged.dataset("validation"), FaceDataset)


def test_no_validation(folder):
    assert FaceDataModule(str(folder), 8, train="*", validation=None).val_dataloader() == []


def test_overlap_is_refused(folder):
    with pytest.raises(HscError, match="share 1 images"):
        FaceDataModule(str(folder), 8, train="0-30", validation="30-46").train_dataloader()


def test_broken_files_stop_or_are_skipped(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HSC_CACHE", str(tmp_path / "cache"))
    (folder / "05.png").write_bytes(b"?")
    (folder / "notes.txt").write_text("hello")
    with pytest.raises(HscError, match=r"05\.png"):
        FaceDataModule(str(folder), 8, **SPECS).train_dataloader()
    data = FaceDataModule(str(folder), 8, skip_broken=True, **SPECS)
    assert len(data.train_dataloader().dataset) == 29
    assert "05.png" in capsys.readouterr().err


def test_flips_are_half_of_the_images_or_none(folder):
    def flipped(flips):
        loader = FaceDataModule(str(folder), 8, batch_size=30, flips=flips, **SPECS).train_dataloader()
        plain = loader.dataset[list(range(30))]["image"]
        batches = list(islice(loader, 4))
        return [
            not torch.equal(image, plain[i]) for b in batches for i, image in zip(b["index"], b["image"], strict=True)
        ]

    assert not any(flipped(False))
    assert 35 < sum(flipped(True)) < 85  # 4.5 standard deviations about 60 of 120


@pytest.mark.parametrize("size", [8, 129], ids=["in RAM", "read by workers"])
def test_workers_change_nothing(folder, size):
    def batches(workers):
        data = FaceDataModule(str(folder), size, batch_size=6, workers=workers, **SPECS)
        return list(islice(data.train_dataloader(), 7)), list(data.val_dataloader())

    for alone, together in zip(batches(0), batches(2), strict=True):
        assert len(alone) == len(together)
        for one, other in zip(alone, together, strict=True):
            assert one["name"] == other["name"]
            assert torch.equal(one["image"], other["image"])


def test_training_resumes_where_the_module_stopped(folder, tmp_path):
    whole = fit(folder, tmp_path / "whole", steps=11)
    fit(folder, tmp_path / "part", steps=5).save_checkpoint(tmp_path / "part.ckpt")
    resumed = fit(folder, tmp_path / "resumed", steps=11, checkpoint=tmp_path / "part.ckpt")
    batches = shown(tmp_path / "part", "train") + shown(tmp_path / "resumed", "train")
    assert batches == shown(tmp_path / "whole", "train")
    assert [step for step, *_ in batches] == list(range(11))
    assert torch.equal(resumed.lightning_module.layer.weight, whole.lightning_module.layer.weight)


@pytest.mark.slow
def test_two_processes_see_what_one_sees(folder, tmp_path):
    """And validation repeats no image, though 17 images make two batches on one rank and one on the other."""
    fit(folder, tmp_path / "1", steps=3)
    # A program of its own: Lightning starts the second process by running it again.
    run_program(Path(__file__).with_name("fit_and_record.py"), folder, tmp_path / "2", 3, 2)
    alone = shown(tmp_path / "1", "train")
    ranks = [shown(tmp_path / "2", "train", rank) for rank in range(2)]
    assert len(alone) == 3
    for step, (_, indices, means) in enumerate(alone):
        for rank in range(2):
            assert ranks[rank][step][1] == indices[rank::2]
            assert ranks[rank][step][2] == means[rank::2]
    for log, size in (("1", 1), ("2", 2)):
        seen = [
            index for rank in range(size) for batch in shown(tmp_path / log, "validation", rank) for index in batch[1]
        ]
        assert sorted(seen) == list(range(17))
    assert [len(shown(tmp_path / "2", "validation", rank)) for rank in range(2)] == [2, 1]


def test_landmarks_are_computed_before_training_and_match_the_flips(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HSC_CACHE", str(tmp_path / "cache"))

    def darkest(image):
        place = image.mean(1).flatten(1).argmin(1)
        return torch.stack([place % image.shape[-1], place // image.shape[-1]], 1)[:, None].float()

    darkest.name = "darkest"
    data = FaceDataModule(str(folder), 8, landmarker=darkest, **SPECS)
    data.prepare_data()
    assert len(list((tmp_path / "cache" / "landmarks").iterdir())) == 1
    batch = next(iter(data.train_dataloader()))
    assert torch.equal(batch["landmarks"], darkest(batch["image"]))


def test_real_faces(data_dir):
    data = FaceDataModule(
        str(data_dir / "ffhq128.zip"),
        64,
        train="00000-00063",
        validation="04000-04499",
        validation_limit=10,
        batch_size=16,
    )
    assert next(iter(data.train_dataloader()))["image"].shape == (16, 3, 64, 64)
    assert [batch["image"].shape[-1] for batch in data.val_dataloader()] == [128]
