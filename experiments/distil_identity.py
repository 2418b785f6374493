"""Train the identity judge that comes with hsc (hsc/assets/judges/identity.md), distilled from `faceres`:

    hsc weights fetch faceres
    python experiments/distil_identity.py ffhq128.zip identity.safetensors

The teacher's descriptors of each face, original and degraded, are the targets of the student.
"""

import io
import json
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
import typer
from PIL import Image, ImageFilter
from safetensors.torch import save
from torch import Tensor
from torch.nn.utils.fusion import fuse_conv_bn_eval

from hsc.data.faces import Faces, open_faces
from hsc.files import sha256, write_atomically
from hsc.judges import Judge, load_judge
from hsc.judges.identity_student import DIMENSIONS, IdentityNet, Unit, face_of
from hsc.progress import progress

FACE_PIXELS = 128
FACES_AT_ONCE = 8  # batch size of the teacher
BATCH = 24  # faces per step, each in both views
LEARNING_RATE = 3e-3
RELATIONAL = 4  # weight of the loss on the cosines between pairs
MARGIN = 3  # maximum shift of training views, in pixels

Seen = tuple[Tensor, Tensor]  # original and degraded faces [n, 2, 3, 128, 128] uint8, teacher's descriptors [n, 2, d]


def main(
    faces: Annotated[Path, typer.Argument(help="Aligned faces: a folder or a zip, here or in HSC_DATA.")],
    out: Annotated[Path, typer.Argument(help="The student's weights; how it agrees with its teacher lies beside.")],
    train: str = "00000-03999",
    validation: str = "04000-04499",
    steps: int = 4500,
    seed: int = 0,
) -> None:
    """Distil the small identity judge."""
    torch.manual_seed(seed)
    teacher = load_judge("faceres")
    taught, held_out = (seen_by(teacher, open_faces(faces, split), seed) for split in (train, validation))
    mean, basis = principal(taught[1][:, 0])
    student = fold(learn(taught, mean, basis, steps))
    tensors = {name: value.half().contiguous() for name, value in student.state_dict().items()}
    write_atomically(out, save(tensors))
    student.load_state_dict({name: value.float() for name, value in tensors.items()})
    report = agreement(student, held_out, mean, basis) | {"sha256": sha256(out)}
    write_atomically(out.with_suffix(".json"), json.dumps(report, indent=1).encode())
    print(json.dumps(report, indent=1))


@torch.inference_mode()
def seen_by(teacher: Judge, faces: Faces, seed: int) -> Seen:
    """Every face and its degraded view, with the teacher's descriptors of both."""
    pixels, descriptors = [], []
    with progress(len(faces), f"descriptors by {teacher.name}") as advance:
        for start in range(0, len(faces), FACES_AT_ONCE):
            names = enumerate(faces.names[start : start + FACES_AT_ONCE], start)
            part = torch.stack([both_views(faces, name, np.random.default_rng([seed, n])) for n, name in names])
            pixels.append(part)
            descriptors.append(teacher(to_images(part.flatten(0, 1))).unflatten(0, part.shape[:2]))
            advance(len(part))
    return torch.cat(pixels), torch.cat(descriptors)


def both_views(faces: Faces, name: str, random: np.random.Generator) -> Tensor:
    photograph = faces.load(name).resize((FACE_PIXELS, FACE_PIXELS))
    views = [np.array(picture) for picture in (photograph, degrade(photograph, random))]
    return torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2)


def principal(descriptors: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [d] and the 128 principal directions [d, 128] of the descriptors, onto which the targets are projected."""
    mean = descriptors.mean(0)
    _, _, directions = torch.linalg.svd(descriptors - mean, full_matrices=False)
    return mean, directions[:DIMENSIONS].t()


def learn(taught: Seen, mean: Tensor, basis: Tensor, steps: int) -> IdentityNet:
    """Train a student to reproduce the teacher's descriptors (centred, projected and normalised to unit length) and
    their cosines between pairs."""
    net = IdentityNet(norm=True).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps + 1, pct_start=0.1)
    left = torch.empty(0, dtype=torch.int64)
    with progress(steps, "distilling") as advance:
        for _ in range(steps):
            if len(left) < BATCH:
                left = torch.randperm(len(taught[0]))
            chosen, left = left[:BATCH], left[BATCH:]
            pixels, descriptors = (part[chosen].flatten(0, 1) for part in taught)
            target = F.normalize((descriptors - mean) @ basis)
            said = F.normalize(net(face_of(moved(to_images(pixels)))))
            absolute = 1 - (said * target).sum(1).mean()
            relational = (said @ said.t() - target @ target.t()).square().mean()
            optimiser.zero_grad()
            (absolute + RELATIONAL * relational).backward()
            optimiser.step()
            schedule.step()
            advance()
    return net.eval()


def fold(net: IdentityNet) -> IdentityNet:
    """The same network with batch normalisation folded into the convolutions."""
    plain, own = IdentityNet().eval(), dict(net.named_modules())
    plain.load_state_dict(net.state_dict(), strict=False)
    for name, unit in plain.named_modules():
        if isinstance(unit, Unit):
            unit[0] = fuse_conv_bn_eval(own[name][0], own[name][1])
    return plain


@torch.inference_mode()
def agreement(student: IdentityNet, held_out: Seen, mean: Tensor, basis: Tensor) -> dict[str, float | str]:
    """Agreement of student and teacher on faces that neither was trained on.

    target_cosine: mean cosine between the student's descriptors and the targets. pair_correlation: Pearson correlation
    of both judges' cosines over all pairs of different photographs. degraded_correlation: the same over pairs of a
    photograph and its degraded view. same_nearest: share of degraded views whose nearest photograph is their own, by
    student and by teacher.
    """
    pixels, descriptors = (part.transpose(0, 1).flatten(0, 1) for part in held_out)  # photographs first
    seen = torch.cat([F.normalize(student(face_of(to_images(part)))) for part in pixels.split(64)])
    target = F.normalize((descriptors - mean) @ basis)

    def cosines(vectors: Tensor) -> tuple[Tensor, Tensor, float]:
        photographs, degraded = vectors.chunk(2)
        table = degraded @ photographs.t()
        others = torch.ones_like(table).triu(1).bool()
        nearest = table.argmax(1) == torch.arange(len(table))
        return (photographs @ photographs.t())[others], table.diagonal(), nearest.float().mean().item()

    (all_s, own_s, found_s), (all_t, own_t, found_t) = cosines(seen), cosines(F.normalize(descriptors - mean))
    return {
        "faces": len(pixels) // 2,
        "target_cosine": (seen * target).sum(1).mean().item(),
        "pair_correlation": torch.corrcoef(torch.stack([all_s, all_t]))[0, 1].item(),
        "degraded_correlation": torch.corrcoef(torch.stack([own_s, own_t]))[0, 1].item(),
        "same_nearest_student": found_s,
        "same_nearest_teacher": found_t,
    }


def to_images(pixels: Tensor) -> Tensor:
    """uint8 [N, 3, S, S] → float32 in [-1, 1]."""
    return pixels.float().div(127.5).sub(1)


def moved(images: Tensor) -> Tensor:
    """Randomly flip the whole batch and shift it by a few pixels, which hardly changes the teacher's descriptors."""
    if torch.rand(()) < 0.5:
        images = images.flip(3)
    padded = F.pad(images, (MARGIN,) * 4, mode="replicate")
    top, left = torch.randint(0, 2 * MARGIN + 1, (2,)).tolist()
    return padded[..., top : top + images.shape[2], left : left + images.shape[3]]


def degrade(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Blur, downscaling, noise and JPEG, each with probability 1/2 and a random strength; at least one is applied."""
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


if __name__ == "__main__":
    typer.run(main)
