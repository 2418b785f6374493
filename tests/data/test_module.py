"""The DataModule: splits, exact resume, several ranks, worker processes."""

from itertools import islice
from types import SimpleNamespace

import pytest
import torch
from pictures import darkest_pixel, write_pictures

from hsc.data.module import FaceDataModule, FaceDataset
from hsc.errors import HscError

SPECS = {"train": "0-29", "validation": "30-46"}


@pytest.fixture
def folder(tmp_path):
    """47 noise images of 10×10 pixels."""
    return write_pictures(tmp_path / "faces", 47, 10)


def at_place(folder, rank, world, batches_seen=0):
    """The DataModule on one rank of a training run after `batches_seen` batches."""
    data = FaceDataModule(str(folder), 8, batch_size=16, seed=3, **SPECS)
    module = SimpleNamespace(batches_seen=torch.tensor(batches_seen))
    data.trainer = SimpleNamespace(global_rank=rank, world_size=world, lightning_module=module)
    return data


def test_splits_sizes_and_limits(folder):
    data = FaceDataModule(str(folder), 8, batch_size=4, validation_limit=5, **SPECS)
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (4, 3, 8, 8)
    validation = list(data.val_dataloader())
    assert [name for batch in validation for name in batch["name"]] == [f"{i}.png" for i in range(30, 35)]
    assert validation[0]["image"].shape == (4, 3, 10, 10)  # original size
    assert isinstance(data.dataset("validation"), FaceDataset)


def test_no_validation(folder):
    assert FaceDataModule(str(folder), 8, train="*", validation=None).val_dataloader() == []


def test_overlap_is_refused(folder):
    with pytest.raises(HscError, match="share 1 image "):
        FaceDataModule(str(folder), 8, train="0-30", validation="30-46").train_dataloader()


def test_broken_files_stop_or_are_skipped(folder, cache, capsys):
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


def test_processes_share_each_batch_and_the_validation_images(folder):
    """Validation repeats no image, though 17 images make two batches on one rank and one on the other."""
    alone, *ranks = (at_place(folder, rank, world) for rank, world in ((0, 1), (0, 2), (1, 2)))
    own_batches = zip(*(data.train_dataloader() for data in (alone, *ranks)), strict=True)
    for batch, *shares in islice(own_batches, 4):
        for rank, share in enumerate(shares):
            assert torch.equal(share["image"], batch["image"][rank::2])
    validated = [[batch["index"].tolist() for batch in data.val_dataloader()] for data in ranks]
    assert [len(batches) for batches in validated] == [2, 1]
    assert sorted(index for batches in validated for batch in batches for index in batch) == list(range(17))


def test_training_resumes_where_the_module_stopped(folder):
    whole, resumed = (at_place(folder, 0, 1, seen).train_dataloader() for seen in (0, 5))
    for expected, batch in zip(islice(whole, 5, 9), resumed, strict=False):
        assert torch.equal(batch["image"], expected["image"])


def test_landmarks_are_computed_before_training_and_match_the_flips(folder, cache):
    data = FaceDataModule(str(folder), 8, landmarker=darkest_pixel, **SPECS)
    data.prepare_data()
    assert len(list((cache / "landmarks").iterdir())) == 1
    batch = next(iter(data.train_dataloader()))
    assert torch.equal(batch["landmarks"], darkest_pixel(batch["image"]))
