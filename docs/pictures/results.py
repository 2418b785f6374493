"""Prints the tables of docs/results.md from a folder that `hsc evaluate` wrote.

    python docs/pictures/results.py results/ffhq128

The first table has every layer and quality of the codec, with 95 % intervals over images; the second the other codecs
at the sizes asked for.
"""

import argparse
from pathlib import Path

import numpy as np

from hsc.evaluation.quantities import known
from hsc.evaluation.results import Curve, read_results

METRICS = ("lpips_vgg", "lpips", "dists", "psnr", "identity_accuracy", "identity_distance", "landmark_nme")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    curves = read_results(parser.parse_args().results)
    layers = [curve for curve in curves if curve.layer]
    asked = [curve for curve in curves if curve.targets]
    print(table(["quality", "up to"], [(place, curve) for place in range(len(layers[0].bpp)) for curve in layers]))
    print()
    print(table(["bytes asked for", "codec"], [(place, c) for place in range(len(asked[0].bpp)) for c in asked]))


def table(header: list[str], points: list[tuple[int, Curve]]) -> str:
    """A Markdown row for each point of a curve."""
    names = [
        name for metric in METRICS for name in points[0][1].metrics if name.startswith(metric + ".") or name == metric
    ]
    heads = [known(name).axis for name in names]
    lines = [f"| {' | '.join([*header, 'bytes', *heads])} |", "| --- " * (len(header) + 1 + len(names)) + "|"]
    for place, curve in points:
        label = [str(curve.qualities[place]), curve.layer] if curve.layer else [str(curve.targets[place]), curve.codec]
        lines.append(f"| {' | '.join([*label, size(curve, place), *(cell(curve, name, place) for name in names)])} |")
    return "\n".join(lines)


def size(curve: Curve, place: int) -> str:
    """Bytes of the file, and where the codec has them those of its slices alone."""
    slices = curve.values.get("slice_bytes")
    alone = f" ({slices[place]:.0f})" if slices is not None and np.isfinite(slices[place]) else ""
    return f"{curve.values['bytes'][place]:.1f}{alone}"


def cell(curve: Curve, name: str, place: int) -> str:
    """Mean and interval, and a mark where the codec was trained on it."""
    low, high = (bounds[name][place] for bounds in (curve.low, curve.high))
    mark = "†" if name in curve.trained_on else ""
    return f"{known(name).show(curve.values[name][place])}{mark} [{known(name).show(low)}, {known(name).show(high)}]"


if __name__ == "__main__":
    main()
