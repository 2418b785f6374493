"""A small identity judge learns from a large one: `hsc weights distil experiments/judges-identity.yaml`."""

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from omegaconf import MISSING
from PIL import Image, ImageFilter
from pytorch_lightning.loggers import CSVLogger
from safetensors.torch import save
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from hsc.cache import cached_file
from hsc.config.reading import merged, read_words, read_yaml, resolved
from hsc.config.schema import DistilConfig
from hsc.config.validation import build
from hsc.data.faces import Faces
from hsc.data.sets import joined, split_sets
from hsc.errors import HscError
from hsc.files import sha256, write_atomically
from hsc.judges import Judge, load_judge
from hsc.judges.identity_student import DIMENSIONS, IdentityNet, face_of
from hsc.progress import Advance, progress
from hsc.training.terminal import filter_lightning_logs

EVALUATION_FAMILIES = ("dlib", "arcface")
FACE_PIXELS = 128
BATCH = 8
MARGIN = 3  # pixels by which training views are moved


class Views(TensorDataset):
    """Faces [n, views, 3, 128, 128] uint8 and the teacher's descriptors [n, views, d]."""


def distil(file: str | Path, out: Path, overrides: Sequence[str] = ()) -> dict[str, float | str]:
    """Train a student as the YAML file says, write its weights to `out` (safetensors, float16) and how it agrees with
    its teacher on faces it has not seen to `out` with the suffix .json, and return the latter.

    Raises HscError for a config that cannot work, NotAvailable without the teacher's weights.
    """
    config = load_config(file, overrides)
    filter_lightning_logs()
    pl.seed_everything(config.seed, verbose=False)
    teacher = load_judge(config.teacher)
    if teacher.kind != "recogniser" or teacher.family in EVALUATION_FAMILIES:
        raise HscError(f"teacher: {config.teacher!r} is no recogniser that may teach: it reports results")
    splits = split_sets(config.data.path, {"train": config.data.train, "validation": config.data.validation})
    train, held_out = (
        seen_by(teacher, joined(splits[name]), config.views, config.seed) for name in ("train", "validation")
    )
    mean, basis = principal(train.tensors[1][:, 0])
    module = Distillation(config, mean, basis)
    with progress(config.steps, "distil") as advance:
        trainer = pl.Trainer(
            max_steps=config.steps,
            accelerator="cpu",
            logger=CSVLogger(out.parent, name=out.stem),
            callbacks=[StepCounter(advance)],
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            log_every_n_steps=25,
        )
        trainer.fit(module, DataLoader(train, config.batch_faces, shuffle=True, drop_last=True))
    student = module.net.eval().folded()
    tensors = {name: value.half().contiguous() for name, value in student.state_dict().items()}
    write_atomically(out, save(tensors))
    student.load_state_dict({name: value.float() for name, value in tensors.items()})
    report: dict[str, float | str] = {**agreement(student, held_out, mean, basis), "sha256": sha256(out)}
    write_atomically(out.with_suffix(".json"), json.dumps(report, indent=1).encode())
    return report


def is_distilled(path: Path) -> bool:
    """Whether `distil` wrote these weights, or this report on the weights beside it."""
    try:
        known = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["sha256"]
        return path.suffix == ".json" or known == sha256(path)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def load_config(file: str | Path, overrides: Sequence[str]) -> DistilConfig:
    """The YAML file and `key=value` words over the defaults.

    Raises HscError for what is unknown, of a wrong type or out of range.
    """
    written = merged(read_yaml(file), read_words(overrides))
    config = build(DistilConfig, resolved(merged(asdict(DistilConfig()), written), str(file)), str(file))
    if config.data.path == MISSING:
        raise HscError(f"{file}: data.path: must be given: a folder or zip of aligned faces, or a list of them")
    return config


@torch.inference_mode()
def seen_by(teacher: Judge, faces: Faces, views: int, seed: int) -> Views:
    """Every face and its degraded views, with the teacher's descriptor of each.

    Descriptors are kept in `hsc.files.cache_dir()` for the next distillation from the same pictures.
    """
    pixels = torch.stack([_views(faces, place, views, seed) for place in range(len(faces))])
    key = hashlib.sha256(f"{faces.content_key} {teacher.name} {views} {seed}".encode()).hexdigest()

    def describe() -> Callable[[BinaryIO], None]:
        found = []
        with progress(len(faces), f"descriptors by {teacher.name}") as advance:
            for part in pixels.split(BATCH):
                found.append(teacher(to_images(part.flatten(0, 1))).unflatten(0, part.shape[:2]))
                advance(len(part))
        descriptors = torch.cat(found).numpy()
        return lambda stream: np.save(stream, descriptors, allow_pickle=False)

    file = cached_file(f"descriptors/{key}.npy", describe)
    return Views(pixels, torch.from_numpy(np.load(file, allow_pickle=False)))


def _views(faces: Faces, place: int, views: int, seed: int) -> Tensor:
    random = np.random.default_rng([seed, place])
    photograph = faces.load(faces.names[place]).resize((FACE_PIXELS, FACE_PIXELS))
    pictures = [photograph] + [degrade(photograph, random) for _ in range(views - 1)]
    return torch.stack([torch.from_numpy(np.array(picture)).permute(2, 0, 1) for picture in pictures])


def principal(descriptors: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [d] and the directions [d, 128] of most variance: what the student is to reproduce."""
    mean = descriptors.mean(0)
    _, _, directions = torch.linalg.svd(descriptors - mean, full_matrices=False)
    return mean, directions[:DIMENSIONS].t()


class Distillation(pl.LightningModule):
    """The student, with the teacher's descriptors centred, projected and made unit vectors as its target."""

    def __init__(self, config: DistilConfig, mean: Tensor, basis: Tensor) -> None:
        super().__init__()
        self.config, self.net = config, IdentityNet(norm=True).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mean: Tensor
        self.basis: Tensor
        self.register_buffer("mean", mean)
        self.register_buffer("basis", basis)

    def training_step(self, batch: list[Tensor], batch_index: int) -> Tensor:
        pixels, descriptors = (part.flatten(0, 1) for part in batch)
        target = F.normalize((descriptors - self.mean) @ self.basis)
        student = F.normalize(self.net(face_of(_moved(to_images(pixels)))))
        absolute = 1 - (student * target).sum(1).mean()
        relational = (student @ student.t() - target @ target.t()).square().mean()
        self.log_dict({"train/cosine_distance": absolute, "train/relational": relational})
        return absolute + self.config.relational * relational

    def configure_optimizers(self) -> Any:
        optimiser = torch.optim.AdamW(self.net.parameters(), lr=self.config.learning_rate, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, self.config.learning_rate, total_steps=self.config.steps + 1, pct_start=0.1
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class StepCounter(pl.Callback):
    """Tells of each step."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance

    def on_train_batch_end(self, *_: Any) -> None:
        self._advance()


def to_images(pixels: Tensor) -> Tensor:
    """uint8 [N, 3, S, S] → float32 in [-1, 1]."""
    return pixels.float().div(127.5).sub(1)


def _moved(images: Tensor) -> Tensor:
    """Mirrored or not and moved by a few pixels, as one for the whole batch: the teacher hardly notices."""
    if torch.rand(()) < 0.5:
        images = images.flip(3)
    padded = F.pad(images, (MARGIN,) * 4, mode="replicate")
    top, left = torch.randint(0, 2 * MARGIN + 1, (2,)).tolist()
    return padded[..., top : top + images.shape[2], left : left + images.shape[3]]


@torch.inference_mode()
def agreement(student: IdentityNet, held_out: Views, mean: Tensor, basis: Tensor) -> dict[str, float]:
    """How student and teacher agree on faces that neither trained on.

    target_cosine: mean cosine of the student's descriptors and the target. pair_correlation: Pearson's of both judges'
    cosines of all pairs of different photographs. degraded_correlation: the same of each photograph and its degraded
    views. same_nearest: share of degraded views whose nearest photograph is their own, by student and by teacher.
    """
    pixels, descriptors = held_out.tensors
    count, views = pixels.shape[:2]
    seen = torch.cat([F.normalize(student(face_of(to_images(part)))) for part in pixels.flatten(0, 1).split(64)])
    full = F.normalize(descriptors.flatten(0, 1) - mean)
    target = F.normalize((descriptors.flatten(0, 1) - mean) @ basis)
    photographs = torch.arange(count) * views
    others = torch.arange(count * views) % views != 0
    own = (torch.arange(count * views) // views)[others]
    pairs = torch.triu_indices(count, count, 1)

    def pair_cosines(vectors: Tensor) -> tuple[Tensor, Tensor, float]:
        clean = vectors[photographs]
        table = vectors[others] @ clean.t()
        found = (table.argmax(1) == own).float().mean().item()
        return (clean @ clean.t())[pairs[0], pairs[1]], table[torch.arange(len(own)), own], found

    (all_s, own_s, found_s), (all_t, own_t, found_t) = pair_cosines(seen), pair_cosines(full)
    return {
        "faces": count,
        "target_cosine": (seen * target).sum(1).mean().item(),
        "pair_correlation": torch.corrcoef(torch.stack([all_s, all_t]))[0, 1].item(),
        "degraded_correlation": torch.corrcoef(torch.stack([own_s, own_t]))[0, 1].item(),
        "same_nearest_student": found_s,
        "same_nearest_teacher": found_t,
    }


def degrade(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Blur, fewer pixels, noise and JPEG, each with an even chance and at a random strength; one at least."""
    chosen = random.random(4) < 0.5
    chosen[random.integers(4)] = True
    blur, shrink, noise, jpeg = chosen
    size = image.size
    if blur:
        image = image.filter(ImageFilter.GaussianBlur(random.uniform(0.5, 3) * size[0] / 128))
    if shrink:
        small = round(size[0] / random.uniform(1.5, 5))
        image = image.resize((small, small), Image.Resampling.BICUBIC).resize(size, Image.Resampling.BICUBIC)
    if noise:
        grain = random.normal(0, random.uniform(2, 20), (*size[::-1], 3))
        image = Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))
    if jpeg:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(random.integers(4, 50)))
        image = Image.open(file).convert("RGB")
    return image
