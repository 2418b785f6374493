"""Prints tables of docs/results.md from folders that `hsc evaluate` wrote; `hsc compare` makes the others.

    python docs/pictures/results.py results/ffhq128 [results/ffhq128-500] [--at 25,110,170]

Of each folder every quality of the codec, a cell for each measure with the values of all layers; of folders with
distances between sets also those, of the whole files of all codecs in order of size; and whole files of all codecs at
some sizes, interpolated over the logarithm of bytes.
"""

import argparse
from pathlib import Path

import numpy as np

from hsc.evaluation.results import Curve, read_results
from hsc.metrics.info import quality_info

METRICS = ("lpips_vgg", "psnr", "identity_accuracy", "identity_distance", "landmark_nme")
AT_SIZES = ("lpips_vgg", "dists", "psnr", "identity_accuracy", "identity_distance", "landmark_nme")
OF_SETS = ("kid", "frechet", "identity_accuracy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--at", type=lambda text: [int(size) for size in text.split(",")], default=[], metavar="BYTES")
    arguments = parser.parse_args()
    for folder in arguments.results:
        curves = read_results(folder)
        print(layers_table([curve for curve in curves if curve.layer]), end="\n\n")
        if any(name.startswith("kid") for name in curves[0].values):
            print(sets_table(curves), end="\n\n")
        if arguments.at:
            print(sizes_table(curves, arguments.at), end="\n\n")


def layers_table(layers: list[Curve]) -> str:
    """A row for each quality."""
    names = columns(layers[0], METRICS)
    rows = []
    for place, quality in enumerate(layers[0].qualities):
        cells = [" / ".join(quality_info(name).show(curve.values[name][place]) for curve in layers) for name in names]
        sizes = " / ".join(f"{curve.values['bytes'][place]:.1f}" for curve in layers)
        rows.append([str(quality), sizes, *cells])
    return markdown(["quality", "bytes", *(quality_info(name).axis for name in names)], rows)


def sets_table(curves: list[Curve]) -> str:
    """A row for each point of a codec without layers, or of the last layer."""
    last = [curve for curve in curves if curve.layer][-1].layer
    names = columns(curves[0], OF_SETS)
    points = [
        (curve.values["bytes"][place], curve, place)
        for curve in curves
        if curve.layer in ("", last)
        for place in range(len(curve.bpp))
    ]
    rows = [
        [f"{size:.0f}", curve.codec, *(quality_info(name).show(curve.values[name][place]) for name in names)]
        for size, curve, place in sorted(points, key=lambda point: point[0])
    ]
    return markdown(["bytes", "codec", *(quality_info(name).axis for name in names)], rows)


def sizes_table(curves: list[Curve], sizes: list[int]) -> str:
    """A row for each codec that has points on both sides of a size, of the last layer where it has layers."""
    last = [curve for curve in curves if curve.layer][-1].layer
    names = columns(curves[0], AT_SIZES)
    rows = []
    for size in sizes:
        for curve in curves:
            measured = np.array(curve.values["bytes"])
            if curve.layer in ("", last) and measured[0] <= size <= measured[-1]:
                places = (np.interp(np.log(size), np.log(measured), np.array(curve.values[name])) for name in names)
                shown = (quality_info(name).show(float(value)) for name, value in zip(names, places, strict=True))
                rows.append([str(size), curve.codec, *shown])
    return markdown(["bytes", "codec", *(quality_info(name).axis for name in names)], rows)


def columns(curve: Curve, metrics: tuple[str, ...]) -> list[str]:
    """The curve's own names of these metrics, judges and galleries included."""
    return [
        name
        for metric in metrics
        for name in curve.metrics
        if name == metric or name.startswith((metric + ".", metric + "_vgg16"))
    ]


def markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
