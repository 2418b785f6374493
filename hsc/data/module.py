"""The LightningDataModule of every stage: training batches that resume exactly, validation without repeated images."""

from typing import Any

import hsc.compat  # noqa: F401  torchvision beside CPU torch, before Lightning imports it

import pytorch_lightning as pl  # isort: skip
from torch.utils.data import BatchSampler, DataLoader

from hsc.data.dataset import FaceDataset, Landmarker, loader
from hsc.data.faces import Faces, without_broken
from hsc.data.sampler import StepBatches
from hsc.data.sets import Sets, joined, split_sets
from hsc.data.splits import Spec
from hsc.images import pictures_at_once

__all__ = ["FaceDataModule", "FaceDataset"]


class FaceDataModule(pl.LightningDataModule):
    """Training and validation faces.

    path: folder or zip, relative to the working folder or HSC_DATA, or several; all but the first only for training.
    size: pixels of training images; validation images keep their own.
    train, validation: specs (see `hsc.data.splits`) of the first set that must not overlap; validation None: no
    validation.
    batch_size: images per training step, over all processes. validation_limit: number of images, None for all.
    flips: mirror half the training images. workers: processes that read images if these do not fit in RAM.
    skip_broken: leave out broken images instead of stopping.
    landmarker: judge whose landmarks are added to training batches. seed: of shuffling and flips. accumulate: parts
    into which each process splits its images of a step. styles: (rows, w_dim) of the W+ stored with generated faces, to
    be added to batches; None: not added. full_size: pixels of training images from sets that have that many, for a
    generator of two sizes; images of other sets are then the same as at `size`, and `large` in batches distinguishes
    them (see FaceDataset). 0: all are used at `size`.

    The Trainer needs `use_distributed_sampler=False`: the samplers distribute the images themselves. Training batches
    start at the LightningModule's `batches_seen`, if it has that attribute.
    """

    def __init__(
        self,
        path: Sets,
        size: int,
        train: Spec = "95%",
        validation: Spec | None = "5%",
        batch_size: int = 32,
        validation_limit: int | None = None,
        flips: bool = True,
        workers: int = 0,
        skip_broken: bool = False,
        landmarker: Landmarker | None = None,
        seed: int = 0,
        accumulate: int = 1,
        styles: tuple[int, int] | None = None,
        full_size: int = 0,
    ):
        super().__init__()
        self.path, self.size = path, size
        self.specs = {"train": train} | ({} if validation is None else {"validation": validation})
        self.batch_size, self.validation_limit, self.flips = batch_size, validation_limit, flips
        self.workers, self.skip_broken, self.landmarker, self.seed = workers, skip_broken, landmarker, seed
        self.accumulate, self.styles, self.full_size = accumulate, styles, full_size
        self._faces: dict[str, Faces] = {}
        self._datasets: dict[str, FaceDataset] = {}

    def prepare_data(self) -> None:
        """Once per machine, before the processes start: compute the landmarks that they will read."""
        if self.landmarker is not None:
            self.dataset("train")

    def faces(self, split: str) -> Faces:
        """The images of `train` or `validation`."""
        if not self._faces:
            for name, sets in split_sets(self.path, self.specs).items():
                if name == "validation":
                    sets = [faces.select(faces.names[: self.validation_limit]) for faces in sets]
                self._faces[name] = joined([without_broken(faces) for faces in sets] if self.skip_broken else sets)
        return self._faces[split]

    def dataset(self, split: str) -> FaceDataset:
        """`train` at the training size with landmarks, or `validation` at the images' own size."""
        if split not in self._datasets:
            faces = self.faces(split)
            styles = faces.styles(self.styles) if self.styles else None
            if split == "train" and self._any_large(faces):
                dataset = FaceDataset(faces, self.full_size, styles=styles, small_size=self.size)
            else:
                dataset = FaceDataset(faces, self.size if split == "train" else None, styles=styles)
            if split == "train" and self.landmarker is not None:
                dataset.add_landmarks(self.landmarker, self.workers)
            self._datasets[split] = dataset
        return self._datasets[split]

    def _any_large(self, faces: Faces) -> bool:
        """Whether a set has images of the full size, judging by its first image."""
        sets = faces.sets.values()
        return self.full_size > 0 and any(one.load(one.names[0]).width >= self.full_size for one in sets)

    def train_dataloader(self) -> DataLoader:
        rank, world = self._place()
        dataset, start = self.dataset("train"), self._batches_done()
        batches = StepBatches(len(dataset), self.batch_size, self.seed, start, rank, world, self.flips, self.accumulate)
        return loader(dataset, batches, self.workers)

    def val_dataloader(self) -> DataLoader | list:
        if "validation" not in self.specs:
            return []
        rank, world = self._place()
        dataset = self.dataset("validation")
        batch = min(max(1, self.batch_size // world), pictures_at_once(dataset.size))
        # Lightning's own sampler would repeat images to even out the ranks; with this one reduced metrics equal those
        # of one process. Ranks may differ by one batch: synchronise at the end of the epoch, not in a step.
        return loader(dataset, BatchSampler(range(rank, len(dataset), world), batch, drop_last=False), self.workers)

    def _place(self) -> tuple[int, int]:
        """(rank, world size)."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def _batches_done(self) -> int:
        module: Any = None if self.trainer is None else self.trainer.lightning_module
        return int(getattr(module, "batches_seen", 0))
