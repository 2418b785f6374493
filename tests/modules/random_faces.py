"""Training data for modules: random images in place of faces, block averages in place of Lite0's features."""

from collections.abc import Iterator

import torch
from tiny_model import ROWS, SIZE
from torch.utils.data import IterableDataset

from hsc.judges.lite0 import WIDTHS
from hsc.modules.base import TrainableModule

W_DIM = 16


def batch_of(step: int, count: int = 4) -> dict:
    """All images of a step."""
    random = torch.Generator().manual_seed(step)
    images = torch.rand(count, 3, SIZE, SIZE, generator=random) * 2 - 1
    styles = torch.randn(count, sum(ROWS), W_DIM, generator=random)
    names = [f"{number:02}" for number in range(count)]
    return {"image": images, "index": torch.arange(count), "name": names, "styles": styles}


class RandomFaces(IterableDataset):
    """An endless stream of batches, of which each process gets the parts that it computes."""

    def __init__(self, module: TrainableModule, count: int = 4) -> None:
        super().__init__()
        self.module, self.count = module, count

    def __iter__(self) -> Iterator[dict]:
        step = 0
        while True:
            whole = batch_of(step, self.count)
            for part in range(self.module.stage.accumulate):
                yield {name: self.module.slice_of(part).of(values) for name, values in whole.items()}
            step += 1


def features(images: torch.Tensor) -> list[torch.Tensor]:
    """Block averages, with as many channels as Lite0's features."""
    scales = (torch.nn.functional.avg_pool2d(images, 2 << scale) for scale in range(4))
    return [scale.mean(1, keepdim=True).repeat(1, width, 1, 1) for scale, width in zip(scales, WIDTHS, strict=True)]
