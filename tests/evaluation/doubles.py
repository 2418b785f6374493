"""A small real codec with layers, and judges whose results a test can compute by hand."""

import io
from pathlib import Path
from typing import NamedTuple

import torch
from pictures import write_pictures
from PIL import Image
from torch import nn

from hsc.images import resize, to_pil, to_tensor

SIZE = 32
QUALITIES = (10, 40, 80)


class JpegLayers:
    """The codec interface on top of JPEG: layer k is a JPEG of the image at 1/4, 1/2 and full size; the file is the
    chunks one after the other, each preceded by its length."""

    name, size, layers, num_qualities, default_quality = "jpeg-layers", SIZE, ("basic", "middle", "enhanced"), 3, 1
    card = {"judges": ["psnr", "ms_ssim"]}  # noqa: RUF012

    def __init__(self, subsampling: int = 0) -> None:
        self.subsampling = subsampling
        self.compressed = self.analysed = 0

    def compress(self, images, quality=None, layers=None):
        self.compressed += 1
        quality = QUALITIES[self.default_quality if quality is None else quality]
        scales = (4, 2, 1)[: layers or 3]
        return [b"".join(self._chunk(image, scale, quality) for scale in scales) for image in images]

    def _chunk(self, image, scale, quality) -> bytes:
        buffer = io.BytesIO()
        small = to_pil(image).reduce(scale)
        small.save(buffer, "JPEG", quality=quality, subsampling=self.subsampling)
        return len(buffer.getvalue()).to_bytes(2) + buffer.getvalue()

    def decompress(self, files, layers=None, native=False, strict=False):
        return [self._decode(file) for file in files]

    def _decode(self, file):
        chunks = []
        while file:
            length = int.from_bytes(file[:2])
            chunks.append(file[2 : 2 + length])
            file = file[2 + length :]
        return resize(to_tensor(Image.open(io.BytesIO(chunks[-1])))[None], SIZE)[0]

    def analyse(self, images):
        self.analysed += len(images)
        return [images] * len(self.layers)

    def encode(self, latents, quality=None, *, bytes=None, sizes=None):
        return JpegCoded(self.compress(latents[0], quality, len(latents)))


class JpegCoded(NamedTuple):
    """Files and their estimated bits: all bytes except the two length bytes of each chunk."""

    files: list[bytes]

    @property
    def prefix_lengths(self):
        return torch.tensor([list(self._ends(file)) for file in self.files])

    @staticmethod
    def _ends(file):
        end = 0
        while end < len(file):
            end += 2 + int.from_bytes(file[end : end + 2])
            yield end

    def bits(self, layers):
        return 8.0 * (self.prefix_lengths[:, layers - 1] - 2 * layers)


class Psnr(nn.Module):
    name, family, kind = "psnr", "pixels", "perceptual"

    def forward(self, reference, image):
        return 10 * torch.log10(4 / (reference - image).square().mean((1, 2, 3)))


class Pixels(nn.Module):
    """A recogniser whose descriptor is the image resized to 4×4."""

    name, family, kind = "pixels", "pixels", "recogniser"

    def forward(self, image):
        return resize(image, 4).flatten(1)


class Brightest(nn.Module):
    """A landmarker of three points: the brightest pixel of each channel."""

    name, family, kind, outer_eye_corners = "brightest", "light", "landmarker", (0, 1)

    def forward(self, image):
        place = image.flatten(2).argmax(-1)
        return torch.stack([place % SIZE, place // SIZE], dim=-1).float() + torch.tensor([[0.0, 0.0], [0, 60], [0, 9]])

    def detects(self, image):
        return image.amax((1, 2, 3)) > 0.5


JUDGES = ("psnr", "pixels", "brightest")


def use_judges(monkeypatch) -> None:
    """Let hsc.judges load these judges and no others."""
    import hsc.judges
    from hsc.judges.base import NotAvailable

    known = dict(zip(JUDGES, (Psnr(), Pixels(), Brightest()), strict=True))

    def load_judge(name, device="cpu"):
        if name not in known:
            raise NotAvailable(f"{name} is not available: put {name}.dat somewhere")
        return known[name]

    monkeypatch.setattr(hsc.judges, "load_judge", load_judge, raising=False)
    monkeypatch.setattr(hsc.judges, "NotAvailable", NotAvailable, raising=False)


def leave_undrawn(monkeypatch) -> None:
    """Let `compare` write no figure files."""
    monkeypatch.setattr("hsc.evaluation.compare.write_figure", lambda *_: None)


def write_smooth_pictures(path: Path, count: int) -> Path:
    """A zip of `count` smooth colourful pictures, SIZE × SIZE."""
    return write_pictures(path, count, SIZE, squares=5, digits=3, seed=7)
