"""A codec small enough to check by hand, and judges that do simple arithmetic."""

import warnings

import hsc.compat  # noqa: F401  isort: skip
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from hsc.judges import Judge
from hsc.validation_output import CodecOutput, LayerOutput

SIZE = 16
LAYERS = ("basic", "middle", "enhanced")


class Pictures(Dataset):
    """`count` named images of smooth noise; an index always gives the same image."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict:
        noise = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(index)) * 2 - 1
        image = F.interpolate(noise, size=SIZE, mode="bilinear")[0]
        return {"image": image, "name": f"{index:05d}.jpg", "index": index}


class Shard(Sampler):
    """Every `world`-th index, starting at `rank`; no padding."""

    def __init__(self, count: int, rank: int, world: int) -> None:
        self.indices = range(rank, count, world)

    def __iter__(self):
        return iter(self.indices)

    def __len__(self) -> int:
        return len(self.indices)


class BlurCodec(pl.LightningModule):
    """Layer k decodes to the image blended with its average over squares of 8, 4 or 2 pixels; `self.blur` is the share
    of the average."""

    def __init__(self, manual: bool = False) -> None:
        super().__init__()
        self.automatic_optimization = not manual
        self.blur = torch.nn.Parameter(torch.tensor(0.5))
        self.samples_seen = 0

    def training_step(self, batch: dict, _: int) -> Tensor | None:
        self.samples_seen += len(batch["name"])
        loss = self.blur.square()
        if self.automatic_optimization:
            return loss
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        return None

    def validation_step(self, batch: dict, _: int) -> CodecOutput:
        images, index = batch["image"], batch["index"].double()
        layers, symbols = {}, {}
        for k, name in enumerate(LAYERS):
            square = 8 >> k
            blurred = F.interpolate(F.avg_pool2d(images, square), scale_factor=float(square))
            decoded = images.lerp(blurred, self.blur.detach())
            file_bytes = (10 + index % 7) * (k + 1)
            layers[name] = LayerOutput(decoded, 8 * file_bytes - 20, file_bytes)
            symbols[name] = (images[:, :, :2, :4].mean(1) * 2 * (k + 1)).round()
        row_bits = index[:, None] + torch.arange(6, device=index.device)
        return CodecOutput(images, batch["name"], layers, symbols, row_bits)

    test_step = validation_step

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.05)


class Distance(Judge):
    """Perceptual metric: mean absolute difference."""

    kind, name, family = "perceptual", "distance", "none"

    def forward(self, reference: Tensor, image: Tensor) -> Tensor:
        return (reference - image).abs().mean((1, 2, 3))


class Projection(Judge):
    """Recogniser and feature extractor: a fixed linear map of the pixels."""

    kind, name, family = "recogniser", "projection", "none"

    def __init__(self, dimensions: int = 8) -> None:
        super().__init__()
        self.register_buffer(
            "matrix", torch.randn(3 * SIZE**2, dimensions, generator=torch.Generator().manual_seed(7)) / 32
        )
        self.asked = 0  # number of images

    def forward(self, image: Tensor) -> Tensor:
        self.asked += len(image)
        return F.interpolate(image, size=(SIZE, SIZE)).flatten(1) @ self.matrix


class Corners(Judge):
    """Landmarker of 68 points that shift with the brightness of the image; it detects only dark faces."""

    kind, name, family, outer_eye_corners = "landmarker", "corners", "none", (36, 45)

    def forward(self, image: Tensor) -> Tensor:
        points = torch.linspace(0, SIZE, 68, device=image.device)
        points = torch.stack([points, points.flip(0)], dim=1)
        return points + image.mean((1, 2, 3))[:, None, None] + image[:, :2, 0, 0][:, None]

    def detects(self, image: Tensor) -> Tensor:
        return image.mean((1, 2, 3)) < 0


def loader(count: int) -> DataLoader:
    """The first `count` pictures; Lightning's warning about worker processes is silenced."""
    warnings.filterwarnings("ignore", message=".*does not have many workers")
    return DataLoader(Pictures(count), batch_size=72)
