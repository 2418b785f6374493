"""Judges without a network: PSNR and MS-SSIM, by torchmetrics' formulas, one value per image. Larger is better."""

import torch
from torch import Tensor

from hsc.judges.base import Judge

# Exponents of MS-SSIM's scales, finest first (Wang et al. 2003).
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


class PSNR(Judge):
    """Perceptual judge `psnr`, in dB, of images clamped to [-1, 1]; infinite if they are identical."""

    name = "psnr"
    family = "pixels"
    kind = "perceptual"
    higher_is_better = True

    def forward(self, reference: Tensor, image: Tensor) -> Tensor:
        error = (reference.clamp(-1, 1).float() - image.clamp(-1, 1).float()).square().mean((1, 2, 3))
        return 10 * torch.log10(4 / error)


class MultiScaleSSIM(Judge):
    """Perceptual judge `ms_ssim`, 1 if images are identical.

    The 11-pixel window needs more than 160 pixels for the usual five scales. Smaller images use as many as fit (four at
    128², three at 64²), with exponents scaled to the usual sum: such values are not comparable with those of other
    sizes.
    """

    name = "ms_ssim"
    family = "pixels"
    kind = "perceptual"
    higher_is_better = True

    def forward(self, reference: Tensor, image: Tensor) -> Tensor:
        import hsc.compat  # noqa: F401  torchmetrics imports torchvision

        # isort: split
        from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as ms_ssim

        scales = 1 + next(n for n in range(4, -1, -1) if min(image.shape[-2:]) > 10 * max(1, n) ** 2)
        used = _SCALE_WEIGHTS[:scales]
        betas = tuple(weight * sum(_SCALE_WEIGHTS) / sum(used) for weight in used)
        # SSIM compares means, so zero must be black.
        reference, image = ((x.float().clamp(-1, 1) + 1) / 2 for x in (reference, image))
        return ms_ssim(image, reference, reduction="none", data_range=1.0, betas=betas)
