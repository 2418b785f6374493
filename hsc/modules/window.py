"""Training values between two log points: added up where they are, and fetched together."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

OBJECTIVES = ("objective", "adversarial/discriminator")  # what the optimisers lower


class Window:
    """Sums of values by name, and in how many steps each was there. Adding waits for no device."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor | float] = {}
        self.counts: dict[str, int] = {}
        self.objectives: list[Tensor] = []
        """of each step, not finite where one of the objectives is not"""

    def add(self, values: Mapping[str, Tensor | float]) -> None:
        """Add the values of one step."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1
        of_step = [torch.as_tensor(values[name]) for name in OBJECTIVES if name in values]
        if of_step:
            self.objectives.append(torch.stack(of_step).sum())

    def means(self, device: torch.device) -> Tensor:
        """Of each name, in the order of `sums`: [names], on the device."""
        return torch.stack(
            [torch.as_tensor(total, device=device).float() / self.counts[name] for name, total in self.sums.items()]
        )

    def state(self, means: Tensor) -> dict[str, Any]:
        """What a checkpoint keeps, with means over all processes."""
        return {"means": dict(zip(self.sums, means.tolist(), strict=True)), "counts": dict(self.counts)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.counts = dict(state["counts"])
        self.sums = {name: mean * self.counts[name] for name, mean in state["means"].items()}
