"""What share of a byte limit files use, and whether qualities between trained levels are as good as the levels.

    python benchmarks/any_bytes.py [--faces 100] [--bytes 40,60,100,175,340] [--model NAME] [--data ffhq128.zip]

First prints the share of the limit that files use, the largest file, and the passes of the entropy model; then bytes
and errors (LPIPS-VGG, PSNR) at every half level: `off the line` is the error of a quality between two levels minus that
of the levels themselves, interpolated in the logarithm of the bytes; above 0 is worse (for PSNR, below).
"""

import argparse
import math
from unittest.mock import patch

import torch

import hsc
from hsc.codec import Codec
from hsc.data.faces import open_faces
from hsc.images import resize, to_tensor
from hsc.judges import load_judge


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=100)
    parser.add_argument("--bytes", default="40,60,100,175,340")
    parser.add_argument("--judged", type=int, default=32, help="faces whose errors are measured; 0: none")
    parser.add_argument("--model", default="ffhq128")
    parser.add_argument("--data", default="ffhq128.zip")
    parser.add_argument("--split", default="04000-04499")
    given = parser.parse_args()
    codec, faces = hsc.load(given.model), open_faces(given.data, given.split)
    images = torch.stack([to_tensor(faces.load(name)) for name in faces.names[: given.faces]])
    latents = codec.analyse(images)
    print("| bytes allowed | used, mean | largest | faces under 95 % | passes |\n| --- | --- | --- | --- | --- |")
    for limit in map(int, given.bytes.split(",")):
        with patch.object(codec, "_encode_at", wraps=codec._encode_at) as passes:
            sizes = torch.tensor([len(file) for file in codec.encode(latents, bytes=limit).files])
        used = sizes / limit
        under = int((used < 0.95).sum())
        print(f"| {limit} | {100 * used.mean():.1f} % | {sizes.max()} | {under} | {passes.call_count} |", flush=True)
    if given.judged:
        errors(codec, images[: given.judged], [layer[: given.judged] for layer in latents])


def errors(codec: Codec, images: torch.Tensor, latents: list[torch.Tensor]) -> None:
    judges = {"LPIPS-VGG": load_judge("lpips.vgg"), "PSNR": load_judge("psnr")}
    measured = []
    for half in range(2 * codec.num_qualities - 1):
        coded = codec.encode(latents, half / 2)
        decoded = codec.decode(coded)
        shown = resize(codec.synthesise(decoded.latents, decoded.quality), images.shape[-1]).clamp(-1, 1)
        size = sum(map(len, coded.files)) / len(images)
        measured.append([size, *(float(judge(images, shown).mean()) for judge in judges.values())])
    print(f"\n| quality | bytes | {' | '.join(f'{name} | off the line' for name in judges)} |")
    print("| --- | --- |" + " --- | --- |" * len(judges))
    for half, (size, *values) in enumerate(measured):
        columns = [f"{value:.4f} | {off_the_line(measured, half, index + 1)}" for index, value in enumerate(values)]
        print(f"| {half / 2:g} | {size:.1f} | {' | '.join(columns)} |")


def off_the_line(measured: list[list[float]], half: int, column: int) -> str:
    if half % 2 == 0:
        return ""
    below, here, above = measured[half - 1 : half + 2]
    share = math.log(here[0] / below[0]) / math.log(above[0] / below[0])
    return f"{here[column] - below[column] - share * (above[column] - below[column]):+.4f}"


if __name__ == "__main__":
    main()
