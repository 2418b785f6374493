"""Draws the pictures of docs/prior.md from a finished run of a prior, and prints the figures beside them.

    python docs/pictures/prior.py RUN [--prior WEIGHTS] [--faces 500] [--out docs/pictures]

RUN is the run's folder, such as runs/prior64. Makes prior-distance.png (KID and Fréchet distance over images seen),
prior-samples.jpg (faces dreamt up) and prior-truncation.jpg (the same faces towards the average one, with the distances
of `--faces` such faces to as many training faces). With `--prior` the last two are of another prior, such as prior64,
whose faces are compared with those that trained the run.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import torch
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from hsc.checkpoints import load_face_model
from hsc.checkpoints.face_model import FaceModel
from hsc.config import Config, load
from hsc.images import resize, to_pil
from hsc.judges import load_judge
from hsc.metrics.distribution import FeatureSet, FeatureStatistics, distribution_distances
from hsc.metrics.info import distance_names
from hsc.released import find_weights
from hsc.training.stage import data_module

STAGE = "prior"
TRUNCATIONS = (0.0, 0.3, 0.5, 0.7, 0.85, 1.0)
SHOWN, COLUMNS, SHOWN_AT = 32, 8, 0.7
FACES_A_COLUMN, SIDE, GAP, TITLE = 5, 96, 4, 34


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--prior", default="")
    parser.add_argument("--faces", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    config = load([arguments.run / "config.yaml"])
    distances(arguments.run, config, arguments.out / "prior-distance.png")
    with torch.inference_mode():
        faces = load_face_model(find_weights(arguments.prior or arguments.run / "prior.safetensors"))
        samples(faces, arguments.out / "prior-samples.jpg")
        truncation(faces, config, arguments.faces, arguments.out / "prior-truncation.jpg")


def distances(run: Path, config: Config, out: Path) -> None:
    """Both distances over images seen, with that between two halves of the training faces as the floor."""
    frechet, kid = distance_names(load_judge(config.judges.distribution))
    rows = sorted(logged(run, kid), key=lambda row: float(row["samples_seen"]))
    seen = [float(row["samples_seen"]) / 1000 for row in rows]
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    for axis, name in zip(figure.subplots(1, 2), (kid, frechet), strict=True):
        values = [float(row[f"val/generated/{name}"]) for row in rows]
        axis.plot(seen, values, marker="o", color="#1f5fa8", label="faces dreamt up")
        axis.axhline(float(rows[-1][f"val/originals/{name}"]), color="#888", ls="--", label="halves of the originals")
        axis.set(xlabel="thousands of images seen", ylabel=name, ylim=(min(0, *values), None))
        axis.legend(frameon=False)
        print(f"{name}: " + ", ".join(f"{s:.1f}k {value:.4f}" for s, value in zip(seen, values, strict=True)))
    figure.savefig(out, dpi=110)


def logged(run: Path, kid: str) -> Iterator[dict[str, str]]:
    """The validations in all logs of the stage; each resumption begins a log."""
    for log in sorted((run / STAGE / "log").glob("*/metrics.csv")):
        with open(log) as file:
            yield from (row for row in csv.DictReader(file) if row.get(f"val/generated/{kid}"))


def samples(faces: FaceModel, out: Path) -> None:
    """Random faces, none chosen."""
    images = resize(dream(faces, inputs(faces, SHOWN), SHOWN_AT), SIDE)
    columns = [("", images[column::COLUMNS]) for column in range(COLUMNS)]
    sheet(columns, title=0).save(out, quality=90)


def truncation(faces: FaceModel, config: Config, count: int, out: Path) -> None:
    """The first faces at every truncation, over the distances of `count` faces to as many training faces."""
    judge = load_judge(config.judges.distribution)
    data = data_module(config, STAGE, landmarks=False).dataset("train")
    chosen = torch.linspace(0, len(data) - 1, min(count, len(data))).round().long()
    originals = features(judge, "original", (data[part.tolist()]["image"] for part in chosen.split(16)))
    z, columns = inputs(faces, count), []
    print("| truncation | " + " | ".join(reversed(distance_names(judge))) + " |\n| --- | --- | --- |", flush=True)
    for strength in TRUNCATIONS:
        images = dream(faces, z, strength)
        frechet, kid = distribution_distances(originals, features(judge, "generated", images.split(16)))
        print(f"| {strength:g} | {kid:.4f} | {frechet:.2f} |", flush=True)
        columns.append((f"{strength:g}\nKID {kid:.3f}", resize(images[:FACES_A_COLUMN], SIDE)))
    sheet(columns, TITLE).save(out, quality=90)


def inputs(faces: FaceModel, count: int) -> Tensor:
    """[count, z_dim], the same at every call."""
    return torch.randn(count, faces.z_dim, generator=torch.Generator().manual_seed(0))


def dream(faces: FaceModel, z: Tensor, strength: float) -> Tensor:
    return torch.cat([faces.draw(part, strength) for part in z.split(faces.batch)])


def features(judge, kind: str, batches) -> FeatureSet:
    """What the judge sees in batches of images [N, 3, S, S]."""
    statistics, done = None, 0
    for images in batches:
        found = judge(images)
        statistics = statistics or FeatureStatistics(found.shape[1])
        statistics.update([f"{kind} {done + number}" for number in range(len(images))], found)
        done += len(images)
    assert statistics is not None
    return statistics.compute()


def sheet(columns: list[tuple[str, Tensor]], title: int) -> Image.Image:
    """Titles `title` pixels high over columns of faces."""
    rows, step = len(columns[0][1]), SIDE + GAP
    page = Image.new("RGB", (len(columns) * step - GAP, title + rows * step - GAP), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(12)
    for column, (text, images) in enumerate(columns):
        pen.multiline_text((column * step + SIDE / 2, title / 2), text, "black", font, "mm", align="center")
        for row, image in enumerate(images):
            page.paste(to_pil(image), (column * step, title + row * step))
    return page


if __name__ == "__main__":
    main()
