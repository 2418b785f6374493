"""Counting integers."""

import torch

from hsc.metrics.rate import SymbolCounts


def test_counts_clip_at_the_ends_and_count_repeated_images_once():
    counts = SymbolCounts(limit=2)
    counts.update(["a", "b"], torch.tensor([[[0, 0], [1, -9]], [[2, 0], [7, -1]]]))
    counts.update(["a"], torch.tensor([[[0.0, 0.0], [1.0, -9.0]]]))
    assert counts.compute().tolist() == [1, 1, 3, 1, 2]
