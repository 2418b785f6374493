"""Encoder-side refinement: search the latents for a file that is better by the codec's own objective.

Gradient descent on the latents of each face (Campos et al. 2019, "Content adaptive optimization for neural image
compression"). Every iterate is really quantised and coded, and the best file is kept, the unrefined one among them: the
objective never gets worse. Decoders need not know.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hsc.codec import Codec, Coded
from hsc.errors import HscError
from hsc.images import Picture
from hsc.judges import load_judge
from hsc.judges.base import NotAvailable
from hsc.losses import load_losses
from hsc.nets.entropy import LOG_SCALE_RANGE
from hsc.nets.levels import at_quality
from hsc.nets.quantise import gaussian_bits

# D: as the shipped codec's last layer has it, but for the recogniser, which is the one that comes with hsc.
TASKS = {"l2": 110.0, "lpips_128": 2.5, "landmarks": 12.0, "identity": 7.0}
RATE = 0.01  # Adam's learning rate, in quantisation steps: larger ones change symbols that do not matter


class Refined(NamedTuple):
    """The best files found, and the objective of each, [N]: of the unrefined file and of this one."""

    files: list[bytes]
    before: Tensor
    after: Tensor


def refine(
    codec: Codec,
    faces: Picture | Sequence[Picture],
    quality: float | Tensor | None = None,
    layers: int | None = None,
    iterations: int = 50,
    limit: int | None = None,
) -> Refined:
    """Files of faces with the least J = λ·(bits of the file) / pixels + D that was found.

    faces and layers: as `Codec.compress` takes them. quality: as `Codec.encode` takes it; without one, and with a
    `limit`, the highest that fits it. λ is that of the face's quality, D the distortion of what all layers of the file
    show, pixels those of the codec's own size. A refined file has at most `limit` bytes; where none is better within
    it, the unrefined one is given. With 0 iterations the files are those of `compress`. Refinement serves the whole
    file: what its first layers show may be worse than those of the unrefined file.

    Raises HscError where a judge of D is missing, and what `compress` raises.
    """
    pictures, sizes = zip(*codec.prepare(faces)[1], strict=True)
    images = torch.stack(pictures)
    with torch.no_grad():
        latents = codec.analyse(images)[:layers]
    coded = codec.encode(latents, quality, bytes=limit if quality is None else None, sizes=sizes)
    search = _Search(codec, images, coded, limit)
    # In quantisation steps, so that one learning rate fits all.
    scaled = [(layer * gain).requires_grad_() for layer, gain in zip(latents, search.gains, strict=True)]
    optimiser = torch.optim.Adam(scaled, RATE)
    for iteration in range(iterations + 1):
        if iteration:
            coded = codec.encode(search.unscaled(scaled), coded.quality, sizes=sizes)
        objective = search.look_at(coded, scaled)
        if iteration < iterations:
            optimiser.zero_grad()
            objective.backward()
            optimiser.step()
    assert search.before is not None
    return Refined(search.files, search.before, search.best)


class _Search:
    """The best files so far, and the objective as a function of scaled latents that leads to better ones."""

    def __init__(self, codec: Codec, images: Tensor, unrefined: Coded, limit: int | None) -> None:
        try:
            self.losses = load_losses(TASKS)
        except NotAvailable as reason:
            raise HscError(f"--refine needs the judges it refines for: {reason}") from reason
        self.codec, self.limit = codec, limit
        self.originals = images
        judges = {loss.judge for loss in self.losses.values() if loss.needs_landmarks}
        with torch.no_grad():
            self.landmarks = next((load_judge(judge, codec.device)(self.originals) for judge in judges), None)
        log_lambdas = torch.tensor(codec.model.lambdas, device=codec.device).log()
        self.rate_weight = at_quality(log_lambdas, unrefined.quality).exp() / codec.size**2
        self.gains: list[Tensor] = []
        for layer in unrefined.layers:
            start = sum(gain.shape[1] for gain in self.gains)
            rows = range(start, start + layer.latents.shape[1])
            self.gains.append(codec.networks.gain.rows(unrefined.quality, rows).detach())
        self.files = list(unrefined.files)
        self.before: Tensor | None = None
        self.best = torch.full((len(images),), torch.inf)

    def unscaled(self, scaled: list[Tensor]) -> list[Tensor]:
        return [layer.detach() / gain for layer, gain in zip(scaled, self.gains, strict=True)]

    def look_at(self, coded: Coded, scaled: list[Tensor]) -> Tensor:
        """Take the files that are better; the sum of the objective over images, differentiable in `scaled`."""
        distortion = self._distortion(coded, scaled)
        sizes = torch.tensor([len(file) for file in coded.files])
        real = self.rate_weight.cpu() * 8 * sizes + distortion.detach().cpu()
        if self.before is None:
            self.before, self.best = real, real.clone()
        for index in (real < self.best).nonzero().flatten().tolist():
            if self.limit is None or len(coded.files[index]) <= self.limit:
                self.files[index], self.best[index] = coded.files[index], real[index]
        return (self.rate_weight * self._bits(coded, scaled) + distortion).sum()

    def _distortion(self, coded: Coded, scaled: list[Tensor]) -> Tensor:
        """D of each image; rounding passes gradients on as if it were not there."""
        latents = self.codec.decode(coded).latents
        passed = [
            layer + (values - values.detach()) / gain
            for layer, values, gain in zip(latents, scaled, self.gains, strict=False)
        ]
        shown = self.codec.synthesise([*passed, *latents[len(passed) :]], coded.quality)
        terms = [weight * self.losses[task](shown, self.originals, self.landmarks) for task, weight in TASKS.items()]
        return torch.stack(terms).sum(0)

    def _bits(self, coded: Coded, scaled: list[Tensor]) -> Tensor:
        """Estimated bits of each image's symbols, were they not rounded; means and scales count as given."""
        low, high = LOG_SCALE_RANGE
        total = torch.zeros(len(self.files), device=self.codec.device)
        for layer, values, gain in zip(coded.layers, scaled, self.gains, strict=True):
            mean = layer.latents * gain - layer.symbols.to(gain.device)
            log_scale = low + (high - low) * layer.classes.to(gain.device) / (self.codec.table.num_classes - 1)
            total = total + gaussian_bits(values - mean, log_scale).flatten(1).sum(1)
        return total
