"""Photographs made as poor as decoded ones, for judges that are to understand those."""

import io

import numpy as np
from PIL import Image, ImageFilter


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
