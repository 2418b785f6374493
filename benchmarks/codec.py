"""Decoding time of hsc compared with CompressAI's mean-scale hyperprior, on the same images in the same run.

    python benchmarks/codec.py [--images 20] [--runs 5] [--model MODEL]

Images are 128×128 and decoded one at a time on the CPU: faces of ffhq128.zip if HSC_DATA has it, else noise. For
each image the two codecs take turns, so that other load affects both. *Entropy part*: bytes to latents, that is, the
entropy networks and the coder; for the hyperprior the hyperlatents' coder, hyper-synthesis and the latents' coder.
*Whole*: bytes to a 128×128 image. Prints medians of the wall time and of the processor time (of all threads, excluding
other programs), and the median of each turn's ratio of wall times with its central 90 %.

CompressAI's weights are random (quality 1: 128 and 192 channels): a network's time does not depend on its weights, but
random latents are nearly all zero, which is the fastest case for its coder.

CompressAI pins NumPy below 2, which hsc does not support, but it also works with NumPy 2. So install it without its
dependencies, and the packages that its models import:

    pip install --no-deps compressai==1.2.8
    pip install einops pytorch-msssim torch-geometric tomli
"""

import argparse
import importlib
import io
import os
import statistics
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

SIDE = 128


class Seconds(NamedTuple):
    """Wall and processor time."""

    wall: float
    processor: float


class Turn(NamedTuple):
    """One image decoded."""

    entropy: Seconds
    whole: Seconds


def load_images(count: int) -> Any:
    """[count, 3, 128, 128] in [-1, 1]: held-out faces, or noise."""
    import torch

    from hsc.files import data_dir
    from hsc.images import load_image, to_tensor

    folder = data_dir()
    if folder is None or not (folder / "ffhq128.zip").is_file():
        print("images: noise (HSC_DATA has no ffhq128.zip)")
        return torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with zipfile.ZipFile(folder / "ffhq128.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith((".jpg", ".png", ".webp")))[-count:]
        print(f"images: {Path(names[0]).stem} to {Path(names[-1]).stem} of ffhq128.zip")
        return torch.stack([to_tensor(load_image(io.BytesIO(archive.read(name)))) for name in names])


def seconds(function: Callable[[], object]) -> Seconds:
    wall, processor = time.perf_counter(), time.process_time()
    function()
    return Seconds(time.perf_counter() - wall, time.process_time() - processor)


class Layered:
    """hsc's codec."""

    name = "hsc"

    def __init__(self, model: str) -> None:
        import hsc

        self.codec = hsc.load(model)

    def encode(self, image: Any) -> bytes:
        return self.codec.compress(image)[0]

    def turn(self, coded: bytes) -> Turn:
        entropy = seconds(lambda: self.codec.decode([coded]))
        return Turn(entropy, seconds(lambda: self.codec.decompress([coded])))


class Hyperprior:
    """CompressAI's mean-scale hyperprior."""

    name = "hyperprior"

    def __init__(self) -> None:
        import torch

        import hsc.compat  # noqa: F401, makes torchvision importable for what follows

        compressai = importlib.import_module("compressai.models")

        torch.manual_seed(0)
        self.model = compressai.MeanScaleHyperprior(128, 192).eval()
        self.model.update(force=True)

    def encode(self, image: Any) -> dict[str, Any]:
        return self.model.compress(image / 2 + 0.5)

    def latents(self, coded: dict[str, Any]) -> Any:
        """The part of its `decompress` before synthesis."""
        model = self.model
        z_hat = model.entropy_bottleneck.decompress(coded["strings"][1], coded["shape"])
        scales, means = model.h_s(z_hat).chunk(2, 1)
        indexes = model.gaussian_conditional.build_indexes(scales)
        return model.gaussian_conditional.decompress(coded["strings"][0], indexes, means=means)

    def turn(self, coded: dict[str, Any]) -> Turn:
        entropy = seconds(lambda: self.latents(coded))
        return Turn(entropy, seconds(lambda: self.model.decompress(**coded)))


def report(part: str, turns: Sequence[Sequence[Seconds]]) -> None:
    """turns: of hsc, and of the hyperprior in the same order."""
    for name, times in zip((Layered.name, Hyperprior.name), turns, strict=True):
        wall, processor = (1000 * statistics.median(column) for column in zip(*times, strict=True))
        print(f"{part:8} {name:10} {wall:7.2f} ms, of the processor {processor:7.2f} ms")
    ratios = sorted(other.wall / own.wall for own, other in zip(*turns, strict=True))
    low, high = ratios[len(ratios) // 20], ratios[-1 - len(ratios) // 20]
    print(f"{part:8} hyperprior / hsc: {statistics.median(ratios):.2f} ({low:.2f} to {high:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--model", default="")
    arguments = parser.parse_args()
    import torch

    load = os.getloadavg()[0]
    print(f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, load {load:.1f}")
    images = load_images(arguments.images)
    codecs: list[Layered | Hyperprior] = [Layered(arguments.model), Hyperprior()]
    times: list[list[Turn]] = [[], []]
    with torch.inference_mode():
        for image in images:
            coded = [codec.encode(image[None]) for codec in codecs]
            for run in range(arguments.runs + 1):
                for codec, data, turns in zip(codecs, coded, times, strict=True):
                    turn = codec.turn(data)  # type: ignore[arg-type]
                    if run:  # the first of each image warms up
                        turns.append(turn)
    for part in Turn._fields:
        report(part, [[getattr(turn, part) for turn in turns] for turns in times])


if __name__ == "__main__":
    main()
