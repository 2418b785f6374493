"""Storage of released networks: matrices and convolutions as int8 with a scale for each output, and stacked matrices
with a scale for each of them; the rest as float16.

A weight's error is about a hundredth of its row's standard deviation. This halves the files, and the error it adds to
decoded pictures is far below that of coding (docs/architecture.md has figures).
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import TypeVar

import torch
from torch import Tensor, nn

SCALE = "|scale"  # suffix of a tensor's name for its scales
_SMALLEST = 4096  # smallest number of elements for which a tensor gets scales
_LEVELS = 127

AnyModule = TypeVar("AnyModule", bound=nn.Module)


def to_store(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Floating-point tensors, by name, as they are stored."""
    stored: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if value.ndim > 1 and value.numel() >= _SMALLEST:
            rows = value.float().flatten(1)
            scale = (rows.abs().amax(1) / _LEVELS).clamp_min(torch.finfo(torch.float16).tiny).half()
            stored[name] = (rows / scale[:, None].float()).round().clamp(-_LEVELS, _LEVELS).char().view_as(value)
            stored[name + SCALE] = scale
        else:
            stored[name] = value.half()
    return stored


def from_store(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that `to_store` was given, as precisely as it keeps them; tensors without scales are unchanged."""
    return {
        name: (value.flatten(1) * stored[name + SCALE][:, None].float()).view_as(value)
        if name + SCALE in stored
        else value
        for name, value in stored.items()
        if not name.endswith(SCALE)
    }


def as_stored(module: AnyModule) -> AnyModule:
    """A float32 copy of a network, with the weights it will have when read back."""
    copy = deepcopy(module).float()
    copy.load_state_dict(from_store(to_store(copy.state_dict())))
    return copy
