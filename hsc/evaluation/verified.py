"""Are people recognised from decoded faces? Every decoded face against the originals of all other photographs.

Needs to know who is who: photographs of one person lie in a folder of their own.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hsc.errors import HscError

if TYPE_CHECKING:
    from hsc.judges import Judge

FALSE_ACCEPTS = 0.01  # the rate at which the true accept rate is read
METRICS = ("auc", "accuracy", "tar", "identified")


def people_of(names: Sequence[str]) -> Tensor:
    """int64 [N], equal for the pictures of one folder. Raises HscError without two of one person and another."""
    folders = [PurePosixPath(name).parent for name in names]
    counts = Counter(folders)
    if len(counts) < 2 or max(counts.values()) < 2:
        raise HscError("--people needs two pictures or more of a person in a folder of their own, and two such folders")
    numbers = {folder: number for number, folder in enumerate(counts)}
    return torch.tensor([numbers[folder] for folder in folders])


def columns_of(judge: "Judge") -> tuple[str, ...]:
    """What a recogniser's scores are called in result files."""
    return tuple(f"verification_{name}.{judge.name}" for name in METRICS)


def scores(judge: "Judge", decoded: Tensor, originals: Tensor, people: Tensor) -> dict[str, float]:
    """Verification of all pairs of different photographs, and `identified`: the share of decoded faces of people with
    several photographs whose nearest *other* photograph shows the same person. Descriptors are [N, d].
    """
    from hsc.metrics.identity import distances
    from hsc.metrics.verification import verification_scores

    threshold = getattr(judge, "threshold", None)
    found = verification_scores(decoded, originals, people, threshold, FALSE_ACCEPTS)
    nearest = distances(decoded, originals).fill_diagonal_(torch.inf).argmin(1)
    several = torch.bincount(people)[people] > 1
    identified = (people[nearest] == people)[several].double().mean().item()
    accuracy = torch.nan if found.accuracy is None else found.accuracy
    return dict(zip(columns_of(judge), (found.auc, accuracy, found.tar, identified), strict=True))
