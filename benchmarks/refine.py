"""What refinement gains: the objective, bytes and time of the same faces against the number of iterations.

    python benchmarks/refine.py [--faces 12] [--quality Q] [--model MODEL] [--data ffhq128.zip] [--split 04000-04499]

J is λ·(bits of the file) / pixels + D, as `hsc encode --refine` minimises it; LPIPS on VGG16 and PSNR, at the faces'
own size, are not what it minimises alone.
"""

import argparse
import time

import torch

import hsc
from hsc.data.faces import open_faces
from hsc.images import resize, to_tensor
from hsc.judges import load_judge
from hsc.refine import refine

ITERATIONS = (0, 5, 10, 20, 50, 100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=12)
    parser.add_argument("--quality", type=int)
    parser.add_argument("--model", default="")
    parser.add_argument("--data", default="ffhq128.zip")
    parser.add_argument("--split", default="04000-04499")
    given = parser.parse_args()
    codec, judge = hsc.load(given.model), load_judge("lpips.vgg")
    faces = open_faces(given.data, given.split)
    images = torch.stack([to_tensor(faces.load(name)) for name in faces.names[: given.faces]])
    print("| iterations | J | bytes | LPIPS-VGG | PSNR | seconds a face |\n| --- | --- | --- | --- | --- | --- |")
    for count in ITERATIONS:
        start = time.perf_counter()
        refined = refine(codec, images, given.quality, iterations=count)
        seconds = (time.perf_counter() - start) / len(images)
        shown = torch.stack(codec.decompress(refined.files))
        with torch.inference_mode():
            lpips = judge(images, resize(shown, images.shape[-1])).mean()
        psnr = (10 * (4 / (shown - images).square().mean((1, 2, 3))).log10()).mean()
        size = sum(map(len, refined.files)) / len(images)
        print(f"| {count} | {refined.after.mean():.4f} | {size:.1f} | {lpips:.3f} | {psnr:.2f} dB | {seconds:.2f} |")


if __name__ == "__main__":
    main()
