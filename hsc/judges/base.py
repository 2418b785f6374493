"""Base class of all judges, which are frozen networks applied to faces, and the error for missing weights."""

from importlib import import_module
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from hsc.errors import HscError
from hsc.images import pictures_at_once

Kind = Literal["perceptual", "recogniser", "landmarker", "features"]


class NotAvailable(HscError):
    """A judge, metric or loss that cannot run here; the message names the file and its path, or the command to run."""


class Judge(nn.Module):
    """A frozen network. Images are [N, 3, H, W] in [-1, 1]; judges of faces expect FFHQ's alignment.

    perceptual  judge(reference, image) → [N]
    recogniser  judge(image) → [N, d]
    landmarker  judge(image) → [N, points, 2], (x, y) in pixels of the input, (0, 0) the corner of the top-left pixel
    features    judge(image) → [N, d]

    `family` names the backbone: judges that share one are not independent of each other.
    `differentiable`: whether gradients reach the image. `higher_is_better`, of perceptual judges: whether the output is
    a similarity; otherwise it is a distance.
    Landmarkers also have `outer_eye_corners`, the indices of the two points whose distance normalises errors, and
    recognisers `threshold`, the Euclidean distance below which two descriptors are taken to be of the same person.
    Subclasses call `freeze()` when their weights are in place.
    """

    name: str
    family: str
    kind: ClassVar[Kind]
    differentiable: ClassVar[bool] = True
    higher_is_better: ClassVar[bool] = False

    def __call__(self, *images: Tensor) -> Tensor:
        """The output of `forward`. Without gradients, images are processed a few at a time to bound memory."""
        count = pictures_at_once(max(images[0].shape[-2:]))
        if torch.is_grad_enabled() or len(images[0]) <= count:
            return super().__call__(*images)
        parts = zip(*(part.split(count) for part in images), strict=True)
        return torch.cat([super(Judge, self).__call__(*part) for part in parts])

    def freeze(self) -> None:
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "Judge":
        """A judge inside a module in training mode stays in evaluation mode."""
        return super().train(False)

    @staticmethod
    def precision(image: Tensor) -> torch.autocast:
        """The autocast context for judges: the training step's own if gradients are needed, otherwise float32."""
        kind = image.device.type
        return torch.autocast(kind, enabled=torch.is_autocast_enabled(kind) and torch.is_grad_enabled())


def import_class(name: str, what: str) -> Any:
    """The class that a user names as `package.module:Class`, a `what`. Raises HscError if it does not exist."""
    module, _, attribute = name.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise HscError(
            f"cannot import the {what} {name} ({error}): is its package installed or its folder on PYTHONPATH?"
        ) from error


def import_extra(module: str, extra: str, judge: str) -> Any:
    """Import a package that only some judges need. Raises NotAvailable naming the extra of hsc that installs it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise NotAvailable(f"{judge} not available ({error}): run `pip install 'hsc[{extra}]'`") from error
