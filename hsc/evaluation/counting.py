"""Which bytes a comparison counts: whole files, or the coded pictures in them alone."""

from dataclasses import replace

import numpy as np

from hsc.evaluation.results import Curve

COUNTS = {"files": "whole files", "pictures": "coded pictures alone"}


def counted(curve: Curve, count: str) -> Curve:
    """The curve with its rate counted so, NaN where its results do not tell coded pictures from headers."""
    if count == curve.count:
        return curve
    assert curve.count == "files", curve.count
    to_bpp = 8 / curve.pixels if curve.pixels else np.nan
    sizes = curve.values.get("slice_bytes", np.full(len(curve.bpp), np.nan))
    images = curve.images_of
    if images is not None:
        of_images = images.values.get("slice_bytes", np.full_like(images.values["bpp"], np.nan))
        images = replace(images, values=images.values | {"bpp": of_images * to_bpp})
    return replace(curve, values=curve.values | {"bpp": sizes * to_bpp}, images_of=images, count=count)
